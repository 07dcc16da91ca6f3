package main

import (
	"bytes"
	"context"
	"time"

	"github.com/open-policy-agent/opa/v1/cover"
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
}

const testTimeout = 30 * time.Second

func test(asked request) (any, error) {
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
	runner := tester.NewRunner().
		SetCompiler(compiler).
		SetStore(store).
		SetModules(loaded.ParsedModules()).
		SetTimeout(testTimeout).
		CapturePrintOutput(true).
		RaiseBuiltinErrors(false).
		Filter(asked.Run)
	var coverage *cover.Cover
	if asked.Coverage {
		coverage = cover.New()
		runner = runner.SetCoverageQueryTracer(coverage)
	} else {
		runner = runner.EnableTracing(asked.Trace)
	}
	results, err := runner.RunTests(ctx, txn)
	if err != nil {
		return nil, err
	}
	given := tested{Tests: []testResult{}}
	for result := range results {
		given.Tests = append(given.Tests, describeTest(result))
	}
	found := failures{compiler, loaded.ParsedModules(), store, txn}
	for index := range given.Tests {
		if given.Tests[index].Outcome == "failed" {
			found.locate(&given.Tests[index])
		}
	}
	if coverage != nil {
		report := coverage.Report(compiler.Modules)
		given.Coverage = &report
	}
	return given, nil
}

func describeTest(result *tester.Result) testResult {
	one := testResult{
		Package:    result.Package,
		Name:       result.Name,
		Outcome:    "passed",
		Output:     string(result.Output),
		DurationNs: result.Duration.Nanoseconds(),
	}
	if result.Location != nil {
		one.File, one.Row = result.Location.File, result.Location.Row
	}
	switch {
	case result.Error != nil:
		one.Outcome, one.Message = "error", result.Error.Error()
	case result.Skip:
		one.Outcome = "skipped"
	case result.Fail:
		one.Outcome = "failed"
		if len(result.Trace) > 0 {
			var text bytes.Buffer
			topdown.PrettyTraceWithLocation(&text, result.Trace)
			one.Trace = text.String()
		}
	}
	return one
}
