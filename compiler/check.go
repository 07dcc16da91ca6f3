package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/loader"
	"github.com/open-policy-agent/opa/v1/types"
)

// load reads modules and data of a request as `opa` reads files.
func (asked request) load(capabilities *ast.Capabilities) (*loader.Result, error) {
	return asked.loader(capabilities).All([]string{"."})
}

func (asked request) loader(capabilities *ast.Capabilities) loader.FileLoader {
	return loader.NewFileLoader().
		WithFS(asked.files()).
		WithProcessAnnotation(true).
		WithCapabilities(capabilities)
}

func (asked request) compile() (*ast.Compiler, *loader.Result, error) {
	capabilities, err := asked.capabilities()
	if err != nil {
		return nil, nil, err
	}
	schemas, err := asked.schemaSet(nil)
	if err != nil {
		return nil, nil, err
	}
	loaded, err := asked.load(capabilities)
	if err != nil {
		return nil, nil, err
	}
	compiler := newCompiler(capabilities, schemas)
	compiler.Compile(loaded.ParsedModules())
	if compiler.Failed() {
		return nil, nil, compiler.Errors
	}
	return compiler, loaded, nil
}

func newCompiler(capabilities *ast.Capabilities, schemas *ast.SchemaSet) *ast.Compiler {
	return ast.NewCompiler().
		SetErrorLimit(0).
		WithCapabilities(capabilities).
		WithSchemas(schemas).
		WithEnablePrintStatements(true).
		WithUseTypeCheckAnnotations(true)
}

type checked struct {
	Modules  int       `json:"modules"`
	Warnings []problem `json:"warnings"`
	// Of each entry point that was asked for: what it can be, in OPA's words for types.
	Types map[string]types.Type `json:"types"`
}

func check(asked request) (any, error) {
	capabilities, err := asked.capabilities()
	if err != nil {
		return nil, err
	}
	loaded, err := asked.load(capabilities)
	if err != nil {
		return nil, err
	}
	modules := loaded.ParsedModules()
	errors := slices.Concat(asked.lacking(modules), asked.missing(modules))
	reasons := asked.unknownReasons(modules)
	arguments := argumentTypes{tools: asked.Tools, schemas: map[string]any{}}
	for _, module := range modules {
		if isSystem(module) {
			forgetInput(module)
		} else if !hasOtherInput(module) {
			reasons = append(reasons, asked.unknownValues(module)...)
			showGets(module)
			arguments.apply(module)
		}
	}
	schemas, err := asked.schemaSet(&arguments)
	if err != nil {
		return nil, err
	}
	failed, told, compiler := compileOptional(modules, func() *ast.Compiler {
		compiler := newCompiler(capabilities, schemas).WithStrict(true)
		compiler.Compile(modules)
		return compiler
	})
	found := slices.Concat(problems(append(errors, failed...)), told, reasons)
	if len(found) > 0 {
		return nil, problemList(append(found, arguments.warnings...))
	}
	result := checked{len(modules), append([]problem{}, arguments.warnings...), map[string]types.Type{}}
	for _, entrypoint := range asked.Entrypoints {
		result.Types[entrypoint] = compiler.TypeEnv.GetByRef(refOf(entrypoint))
	}
	return result, nil
}

func refOf(entrypoint string) ast.Ref {
	ref := ast.Ref{ast.DefaultRootDocument}
	for part := range strings.SplitSeq(entrypoint, "/") {
		ref = append(ref, ast.StringTerm(part))
	}
	return ref
}

// missing are the entry points that no module has a rule for, or for a member of.
func (asked request) missing(modules map[string]*ast.Module) ast.Errors {
	rules := ruleNames(modules)
	var found ast.Errors
	for _, entrypoint := range asked.Entrypoints {
		if !rules.answer(entrypoint) {
			found = append(found, ast.NewError("entrypoint_missing", nil, "there is no rule %s", refOf(entrypoint)))
		}
	}
	return found
}

// paths are those of rules, with slashes.
type paths map[string]bool

// answer is true where the value has a rule of its own, or its members have: `decision.allow := …`.
func (rules paths) answer(entrypoint string) bool {
	for path := range rules {
		if path == entrypoint || strings.HasPrefix(path, entrypoint+"/") {
			return true
		}
	}
	return false
}

func ruleNames(modules map[string]*ast.Module) paths {
	rules := paths{}
	for _, module := range modules {
		for _, rule := range module.Rules {
			if path, err := rule.Path().Ptr(); err == nil {
				rules[strings.TrimPrefix(path, "data/")] = true
			}
		}
	}
	return rules
}

// lacking are the calls of built-ins that whoever evaluates does not have. Tests are evaluated here, and have all.
func (asked request) lacking(modules map[string]*ast.Module) ast.Errors {
	var found ast.Errors
	note := func(operator *ast.Term) {
		if name := operator.Value.String(); slices.Contains(asked.LackingBuiltins, name) {
			found = append(found, ast.NewError("builtin_missing", operator.Location, "%s", name))
		}
	}
	for name, module := range modules {
		if strings.HasSuffix(name, "_test.rego") {
			continue
		}
		walkCalls(module, func(_ *ast.Location, terms []*ast.Term) { note(terms[0]) })
	}
	return found
}

// isSystem is true of rules that are asked about something else than a call.
func isSystem(module *ast.Module) bool {
	return module.Package.Path.HasPrefix(ast.MustParseRef("data.system"))
}

// forgetInput lets `input` be anything, by another name that OPA knows nothing of.
func forgetInput(module *ast.Module) {
	forget := func(term *ast.Term) bool {
		if ref, ok := term.Value.(ast.Ref); ok && ref.HasPrefix(ast.InputRootRef) {
			head := ast.Ref{ast.DefaultRootDocument, ast.StringTerm("the input of system rules")}
			term.Value = slices.Concat(head, ref[1:])
		}
		return false
	}
	for _, imported := range module.Imports {
		if imported.Alias == "" {
			imported.Alias = ast.Var(imported.Name())
		}
		forget(imported.Path)
	}
	ast.WalkTerms(module, forget)
}

func schemaRef(name string) ast.Ref {
	ref := ast.SchemaRootRef.Copy()
	for part := range strings.SplitSeq(name, "/") {
		ref = append(ref, ast.StringTerm(part))
	}
	return ref
}

// schemaSet has each schema by its name, and the input's for all of `input`.
func (asked request) schemaSet(arguments *argumentTypes) (*ast.SchemaSet, error) {
	if len(asked.Schemas) == 0 {
		return nil, nil
	}
	set := ast.NewSchemaSet()
	for name, text := range asked.Schemas {
		schema, err := parseSchema(text)
		if err != nil {
			return nil, fmt.Errorf("schema %s: %w", name, err)
		}
		if arguments != nil && arguments.isToolSchema(name) {
			schema = markOptional(schema)
		}
		if name == asked.InputSchema {
			if arguments != nil {
				arguments.addTo(schema)
			}
			set.Put(ast.SchemaRootRef, schema)
		}
		set.Put(ast.SchemaRootRef.Append(ast.StringTerm(name)), schema)
		// As `opa check --schema` names a file in a folder.
		set.Put(schemaRef(name), schema)
	}
	return set, nil
}
