package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/util"
)

type evaluated struct {
	// Absent where the query is undefined.
	Value json.RawMessage `json:"value,omitempty"`
	// Each expression that was evaluated, in order, where a trace was asked for.
	Trace []event `json:"trace,omitempty"`
	// Lines of the modules that counted, where a trace was asked for.
	Coverage *cover.Report `json:"coverage,omitempty"`
	Output   string        `json:"output,omitempty"`
}

type event struct {
	Op      string `json:"op"`
	Depth   int    `json:"depth"`
	Node    string `json:"node"`
	File    string `json:"file,omitempty"`
	Row     int    `json:"row,omitempty"`
	Message string `json:"message,omitempty"`
}

const (
	maxEvents    = 10_000
	maxNodeRunes = 500

	// It may be a large policy that is traced, on a busy machine.
	defaultEvalTimeout = 60 * time.Second
)

func eval(asked request) (any, error) {
	compiler, loaded, err := asked.compile()
	if err != nil {
		return nil, err
	}
	store, err := loaded.Store()
	if err != nil {
		return nil, err
	}
	var output printed
	options := []func(*rego.Rego){
		rego.Query(asked.Query),
		rego.Compiler(compiler),
		rego.Store(store),
		rego.PrintHook(&output),
		rego.EnablePrintStatements(true),
	}
	if asked.Input != nil {
		var input any
		if err := util.Unmarshal(asked.Input, &input); err != nil {
			return nil, err
		}
		options = append(options, rego.Input(input))
	}
	trace := topdown.NewBufferTracer()
	coverage := cover.New()
	var tracing []rego.EvalOption
	if asked.Trace {
		// With its index OPA does not even try a body that cannot hold, and nothing would tell why it does not.
		tracing = append(tracing, rego.EvalQueryTracer(trace), rego.EvalQueryTracer(coverage), rego.EvalRuleIndexing(false))
	}
	ctx := context.Background()
	prepared, err := rego.New(options...).PrepareForEval(ctx)
	if err != nil {
		return nil, err
	}
	limit := newDeadline(asked.timeout(defaultEvalTimeout))
	results, err := prepared.Eval(ctx, append(tracing, rego.EvalExternalCancel(limit))...)
	if limit.cancelled {
		return nil, problemList{{Code: "timeout", Message: fmt.Sprintf("the evaluation took longer than %v", limit.length)}}
	}
	if err != nil {
		return nil, err
	}
	given := evaluated{Output: output.text.String()}
	if len(results) == 1 && len(results[0].Expressions) == 1 {
		if given.Value, err = json.Marshal(results[0].Expressions[0].Value); err != nil {
			return nil, err
		}
	}
	if asked.Trace {
		report := coverage.Report(compiler.Modules)
		given.Coverage = &report
		given.Trace = describeTrace(*trace)
	}
	return given, nil
}

func describeTrace(trace []*topdown.Event) []event {
	depths := map[uint64]int{}
	events := []event{}
	for _, one := range trace {
		depth, known := depths[one.QueryID]
		if !known {
			depth = depths[one.ParentID] + 1
			depths[one.QueryID] = depth
		}
		if len(events) == maxEvents {
			break
		}
		found := event{Op: string(one.Op), Depth: depth, Message: one.Message}
		if one.Node != nil {
			found.Node = cut(describeNode(one))
		}
		if one.Location != nil {
			found.File, found.Row = one.Location.File, one.Location.Row
		}
		events = append(events, found)
	}
	return events
}

func describeNode(one *topdown.Event) string {
	if rule, ok := one.Node.(*ast.Rule); ok {
		return rule.Path().String()
	}
	if text, ok := one.Node.(interface{ String() string }); ok {
		return text.String()
	}
	return ""
}

func cut(text string) string { return cutTo(text, maxNodeRunes) }

func cutTo(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most]) + "…"
}
