package main

import (
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/loader"
)

// load reads modules and data of a request as `opa` reads files.
func (asked request) load(capabilities *ast.Capabilities) (*loader.Result, error) {
	return loader.NewFileLoader().
		WithFS(asked.files()).
		WithProcessAnnotation(true).
		WithCapabilities(capabilities).
		All([]string{"."})
}

func (asked request) compile(strict bool) (*ast.Compiler, *loader.Result, error) {
	capabilities, err := asked.capabilities()
	if err != nil {
		return nil, nil, err
	}
	schemas, err := asked.schemas()
	if err != nil {
		return nil, nil, err
	}
	loaded, err := asked.load(capabilities)
	if err != nil {
		return nil, nil, err
	}
	compiler := ast.NewCompiler().
		SetErrorLimit(0).
		WithStrict(strict).
		WithCapabilities(capabilities).
		WithSchemas(schemas).
		WithEnablePrintStatements(true).
		WithUseTypeCheckAnnotations(true)
	compiler.Compile(loaded.ParsedModules())
	if compiler.Failed() {
		return nil, nil, compiler.Errors
	}
	return compiler, loaded, nil
}

func check(asked request) (any, error) {
	compiler, _, err := asked.compile(true)
	if err != nil {
		return nil, err
	}
	return map[string]int{"modules": len(compiler.Modules)}, nil
}
