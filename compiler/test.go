package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/open-policy-agent/opa/v1/topdown"
)

type tested struct {
	Tests    []testResult  `json:"tests"`
	Coverage *cover.Report `json:"coverage,omitempty"`
}

type testResult struct {
	Package string `json:"package"`
	Name    string `json:"name"`
	File    string `json:"file"`
	Row     int    `json:"row"`
	Outcome string `json:"outcome"`
	Message string `json:"message,omitempty"`
	// Of a comparison that does not hold: what its sides are.
	Values     []string `json:"values,omitempty"`
	Output     string   `json:"output,omitempty"`
	Trace      string   `json:"trace,omitempty"`
	DurationNs int64    `json:"duration_ns"`
	// Of a test with cases: those that failed.
	Cases []failedCase `json:"cases,omitempty"`
}

type failedCase struct {
	Name    string   `json:"name"`
	Row     int      `json:"row"`
	Message string   `json:"message,omitempty"`
	Values  []string `json:"values,omitempty"`
	keys    []*ast.Term
}

// defaultTestTimeout is that of `opa test`.
const defaultTestTimeout = 5 * time.Second

// runner evaluates tests as OPA's own does, which cannot end one: see deadline.
type runner struct {
	compiler *ast.Compiler
	modules  map[string]*ast.Module
	store    storage.Store
	txn      storage.Transaction
	timeout  time.Duration
	coverage *cover.Cover
	trace    bool
}

func test(asked request) (any, error) {
	pattern, err := regexp.Compile(asked.Run)
	if err != nil {
		return nil, problemList{{Code: "run_invalid", Message: err.Error()}}
	}
	compiler, loaded, err := asked.compile()
	if err != nil {
		return nil, err
	}
	store, err := loaded.Store()
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	txn, err := store.NewTransaction(ctx, storage.TransactionParams{})
	if err != nil {
		return nil, err
	}
	defer store.Abort(ctx, txn)
	running := runner{compiler, loaded.ParsedModules(), store, txn, asked.timeout(defaultTestTimeout), nil, asked.Trace}
	if asked.Coverage {
		running.coverage = cover.New()
	}
	if err := running.prepare(ctx); err != nil {
		return nil, err
	}
	given := tested{Tests: running.run(ctx, pattern)}
	if running.coverage != nil {
		report := running.coverage.Report(compiler.Modules)
		given.Coverage = &report
	}
	return given, nil
}

// prepare compiles the modules as tests: OPA's own runner does, before it runs those that it is to run, which are none.
func (running runner) prepare(ctx context.Context) error {
	results, err := tester.NewRunner().
		SetCompiler(running.compiler).
		SetStore(running.store).
		SetModules(running.modules).
		CapturePrintOutput(true).
		Filter("^$").
		RunTests(ctx, running.txn)
	if err != nil {
		return err
	}
	for range results {
	}
	return nil
}

func (running runner) run(ctx context.Context, pattern *regexp.Regexp) []testResult {
	results := []testResult{}
	for _, name := range slices.Sorted(maps.Keys(running.compiler.Modules)) {
		module := running.compiler.Modules[name]
		for _, rule := range module.Rules {
			ref := testRef(rule.Head)
			if ref == nil || !pattern.MatchString(module.Package.Path.Extend(ref).String()) {
				continue
			}
			one := testResult{Package: module.Package.Path.String(), Name: ref.String(), Outcome: "skipped"}
			if rule.Location != nil {
				one.File, one.Row = rule.Location.File, rule.Location.Row
			}
			if !strings.HasPrefix(lastName(ref), tester.SkipTestPrefix) {
				running.evaluate(ctx, &one, rule, module.Package.Path.Extend(ref))
			}
			results = append(results, one)
		}
	}
	return results
}

// testRef is the part of a rule's name that ends with test_… or todo_test_…; what comes after it are names of cases.
func testRef(head *ast.Head) ast.Ref {
	ref := head.Ref().GroundPrefix()
	for index := range ref {
		if name := lastName(ref[:index+1]); strings.HasPrefix(name, tester.TestPrefix) || strings.HasPrefix(name, tester.SkipTestPrefix) {
			return ref[:index+1]
		}
	}
	return nil
}

func lastName(ref ast.Ref) string {
	switch name := ref[len(ref)-1].Value.(type) {
	case ast.Var:
		return string(name)
	case ast.String:
		return string(name)
	}
	return ""
}

func (running runner) evaluate(ctx context.Context, one *testResult, rule *ast.Rule, path ast.Ref) {
	var output bytes.Buffer
	limit := newDeadline(running.timeout)
	begun := time.Now()
	prepared, err := rego.New(
		rego.Store(running.store),
		rego.Transaction(running.txn),
		rego.Compiler(running.compiler),
		rego.Query(path.String()),
		rego.PrintHook(topdown.NewPrintHook(&output)),
	).PrepareForEval(ctx)
	var results rego.ResultSet
	options := []rego.EvalOption{rego.EvalTransaction(running.txn), rego.EvalExternalCancel(limit)}
	var events []*topdown.Event
	hasCases := rule.Head.DocKind() == ast.PartialObjectDoc
	buffer, cases := topdown.NewBufferTracer(), tester.NewTestQueryTracer()
	switch {
	case running.coverage != nil:
		options = append(options, rego.EvalQueryTracer(running.coverage))
	case running.trace:
		options = append(options, rego.EvalQueryTracer(buffer))
	}
	if hasCases {
		options = append(options, rego.EvalQueryTracer(cases))
	}
	if err == nil {
		results, err = prepared.Eval(ctx, options...)
	}
	one.DurationNs, one.Output, events = time.Since(begun).Nanoseconds(), output.String(), *buffer
	switch {
	case limit.cancelled:
		one.Outcome, one.Message = "error", fmt.Sprintf("took longer than %v", running.timeout)
	case err != nil:
		one.Outcome, one.Message = "error", err.Error()
	case len(results) == 0:
		one.Outcome = "failed"
	case hasCases:
		one.Cases = failedCases(results[0].Expressions[0].Value, cases.Events())
		one.Outcome = outcome(len(one.Cases) == 0)
	default:
		one.Outcome = outcome(results[0].Expressions[0].Value == true)
	}
	if one.Outcome != "failed" {
		return
	}
	if len(events) > 0 {
		var text bytes.Buffer
		topdown.PrettyTraceWithLocation(&text, events)
		one.Trace = text.String()
	}
	running.locate(one, rule)
}

func outcome(holds bool) string {
	if holds {
		return "passed"
	}
	return "failed"
}

// failedCases are those that were begun, or have a value, and are not true.
func failedCases(value any, begun []*topdown.Event) []failedCase {
	var found []failedCase
	seen := map[string]bool{}
	note := func(holds bool, keys []*ast.Term) {
		names := make([]string, 0, len(keys))
		for _, key := range keys {
			names = append(names, caseName(key))
		}
		name := strings.Join(names, ": ")
		if !holds && !seen[name] {
			found = append(found, failedCase{Name: name, keys: keys})
		}
		seen[name] = true
	}
	for _, event := range begun {
		if keys := caseKeys(event); keys != nil {
			note(valueAt(value, keys) == true, keys)
		}
	}
	for keys, leaf := range leaves(value, nil) {
		note(leaf == true, keys)
	}
	slices.SortStableFunc(found, func(a, b failedCase) int { return cmp.Compare(a.Name, b.Name) })
	return found
}
