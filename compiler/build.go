package main

import (
	"bytes"
	"context"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/compile"
)

type built struct {
	// A gzipped tar, byte for byte what `opa build` writes.
	Bundle []byte `json:"bundle"`
}

func build(asked request) (any, error) {
	capabilities, err := asked.capabilities()
	if err != nil {
		return nil, err
	}
	optional, err := asked.existing(capabilities)
	if err != nil {
		return nil, err
	}
	var bundle bytes.Buffer
	compiler := compile.New().
		WithFS(asked.files()).
		WithPaths(".").
		WithAsBundle(asked.AsBundle).
		WithTarget(asked.Target).
		WithEntrypoints(append(asked.Entrypoints, optional...)...).
		WithCapabilities(capabilities).
		WithRegoAnnotationEntrypoints(true).
		WithOutput(&bundle)
	if asked.Revision != "" {
		compiler = compiler.WithRevision(asked.Revision)
	}
	if err := compiler.Build(context.Background()); err != nil {
		return nil, err
	}
	return built{Bundle: bundle.Bytes()}, nil
}

// existing are those of the optional entry points that some module has a rule for.
func (asked request) existing(capabilities *ast.Capabilities) ([]string, error) {
	if len(asked.OptionalEntrypoints) == 0 {
		return nil, nil
	}
	modules, err := asked.modules(capabilities)
	if err != nil {
		return nil, err
	}
	rules := ruleNames(modules)
	var found []string
	for _, entrypoint := range asked.OptionalEntrypoints {
		if rules.answer(entrypoint) {
			found = append(found, entrypoint)
		}
	}
	return found, nil
}

// modules of a bundle are in the version of Rego that its manifest names.
func (asked request) modules(capabilities *ast.Capabilities) (map[string]*ast.Module, error) {
	if !asked.AsBundle {
		loaded, err := asked.load(capabilities)
		if err != nil {
			return nil, err
		}
		return loaded.ParsedModules(), nil
	}
	read, err := asked.loader(capabilities).AsBundle(".")
	if err != nil {
		return nil, err
	}
	modules := map[string]*ast.Module{}
	for _, file := range read.Modules {
		modules[file.Path] = file.Parsed
	}
	return modules, nil
}
