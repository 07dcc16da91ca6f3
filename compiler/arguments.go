package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// In the input's schema the arguments of a call can only be "an object or null". What a rule reads of them is checked under
// another name, which the schema has for the tools that the rule is about: those that its body compares `input.mcp.tool`
// with, or any. Nothing of this is ever evaluated.

var (
	toolRef      = ast.MustParseRef("input.mcp.tool")
	backendRef   = ast.MustParseRef("input.mcp.backend")
	argumentsRef = ast.MustParseRef("input.mcp.arguments")
)

// noArguments is a member of objects whose members may be absent. Without any member, OPA takes them for objects that may have all.
const noArguments = "(none)"

// argumentNames is how the hidden members are called; what comes after it names the tools.
const argumentNames = "arguments of "

var (
	hiddenName   = regexp.MustCompile(`\["` + argumentNames + `[^"]*"\]`)
	hiddenMember = regexp.MustCompile(`(\(none\): any|` + argumentNames + `[^:]*: object<\.\.\.>)(, )?`)
)

func withoutHiddenNames(text string) string {
	return hiddenMember.ReplaceAllString(hiddenName.ReplaceAllString(text, ".arguments"), "")
}

func isHidden(name string) bool {
	return name == noArguments || strings.HasPrefix(name, argumentNames)
}

type argumentTypes struct {
	// By backend, then by tool. A schema without "properties" takes anything.
	tools    map[string]map[string]map[string]any
	schemas  map[string]any
	warnings []problem
}

func (types *argumentTypes) apply(module *ast.Module) {
	if len(types.tools) == 0 {
		return
	}
	for _, imported := range module.Imports {
		types.applyToImport(imported)
	}
	ast.WalkRules(module, func(rule *ast.Rule) bool {
		if !bindsInput(rule.Annotations) {
			types.applyToRule(rule)
		}
		return false
	})
}

func (types *argumentTypes) applyToImport(imported *ast.Import) {
	ref, ok := imported.Path.Value.(ast.Ref)
	if !ok || !ref.HasPrefix(argumentsRef) {
		return
	}
	if imported.Alias == "" {
		imported.Alias = ast.Var(imported.Name())
	}
	imported.Path.Value = renamed(ref, types.nameFor(nil, nil))
}

func (types *argumentTypes) applyToRule(rule *ast.Rule) {
	name := types.nameFor(types.named(rule.Body, backendRef, "backend"), types.named(rule.Body, toolRef, "tool"))
	kept := comparedWithNull(rule.Body)
	rename := func(term *ast.Term) bool {
		ref, ok := term.Value.(ast.Ref)
		if ok && ref.HasPrefix(argumentsRef) && !slices.Contains(kept, term) {
			term.Value = renamed(ref, name)
		}
		return false
	}
	ast.WalkTerms(rule.Body, rename)
	for _, term := range []*ast.Term{rule.Head.Key, rule.Head.Value} {
		if term != nil {
			ast.WalkTerms(term, rename)
		}
	}
}

func renamed(ref ast.Ref, name string) ast.Ref {
	changed := slices.Clone(ref)
	changed[2] = &ast.Term{Value: ast.String(name), Location: ref[2].Location}
	return changed
}

// named are the strings that a body demands of a reference, and that there are: `ref == "a"` or `ref in {"a", "b"}`.
func (types *argumentTypes) named(body ast.Body, ref ast.Ref, kind string) []string {
	var names []string
	for _, expr := range body {
		for _, term := range demanded(expr, ref) {
			name := string(term.Value.(ast.String))
			if types.knows(kind, name) {
				names = append(names, name)
			} else {
				types.warn(kind, name, term.Location)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (types *argumentTypes) knows(kind, name string) bool {
	if kind == "backend" {
		return types.tools[name] != nil
	}
	for _, tools := range types.tools {
		if tools[name] != nil {
			return true
		}
	}
	return false
}

func (types *argumentTypes) warn(kind, name string, location *ast.Location) {
	message := fmt.Sprintf("no backend offers a tool %q", name)
	if kind == "backend" {
		message = fmt.Sprintf("there is no backend %q in the catalog", name)
	}
	warning := describe(ast.NewError(kind+"_unknown", location, "%s", message))
	warning.Unknown = &unknown{Name: name, Names: types.names(kind)}
	types.warnings = append(types.warnings, warning)
}

func (types *argumentTypes) names(kind string) []string {
	var names []string
	for backend, tools := range types.tools {
		if kind == "backend" {
			names = append(names, backend)
			continue
		}
		for tool := range tools {
			names = append(names, tool)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func demanded(expr *ast.Expr, ref ast.Ref) []*ast.Term {
	if expr.Negated || !expr.IsCall() || len(expr.Operands()) != 2 {
		return nil
	}
	left, right := expr.Operand(0), expr.Operand(1)
	switch operator := expr.Operator().String(); operator {
	case ast.Equal.Name, ast.Equality.Name:
		if right.Value.Compare(ref) == 0 {
			left, right = right, left
		}
		if _, ok := right.Value.(ast.String); ok && left.Value.Compare(ref) == 0 {
			return []*ast.Term{right}
		}
	case ast.Member.Name:
		if left.Value.Compare(ref) == 0 {
			return textsIn(right)
		}
	}
	return nil
}

// textsIn are the members of a set or array of nothing but strings.
func textsIn(term *ast.Term) []*ast.Term {
	var found []*ast.Term
	count := 0
	add := func(member *ast.Term) {
		count++
		if _, ok := member.Value.(ast.String); ok {
			found = append(found, member)
		}
	}
	switch value := term.Value.(type) {
	case ast.Set:
		value.Foreach(add)
	case *ast.Array:
		value.Foreach(add)
	}
	if len(found) != count {
		return nil
	}
	return found
}

// comparedWithNull are the references in `input.mcp.arguments == null`, which is a good question.
func comparedWithNull(body ast.Body) []*ast.Term {
	var kept []*ast.Term
	ast.WalkExprs(body, func(expr *ast.Expr) bool {
		if !expr.IsCall() || len(expr.Operands()) != 2 {
			return false
		}
		left, right := expr.Operand(0), expr.Operand(1)
		if left.Value.Compare(ast.NullValue) == 0 || right.Value.Compare(ast.NullValue) == 0 {
			kept = append(kept, left, right)
		}
		return false
	})
	return kept
}

// nameFor is the hidden member for calls of these tools at these backends; none named means any.
func (types *argumentTypes) nameFor(backends, tools []string) string {
	label := "any tool"
	if len(tools) > 0 {
		label = strings.Join(tools, " or ")
	}
	if len(backends) > 0 {
		label += " of " + strings.Join(backends, " or ")
	}
	name := argumentNames + label
	if types.schemas[name] == nil {
		types.schemas[name] = types.merge(backends, tools)
	}
	return name
}

// merge has the arguments of all of these tools; one that several have may be of each type that it has there.
func (types *argumentTypes) merge(backends, tools []string) map[string]any {
	properties := map[string][]any{}
	for backend, offered := range types.tools {
		if len(backends) > 0 && !slices.Contains(backends, backend) {
			continue
		}
		for tool, schema := range offered {
			if len(tools) > 0 && !slices.Contains(tools, tool) {
				continue
			}
			declared, ok := schema["properties"].(map[string]any)
			if !ok {
				return map[string]any{"anyOf": []any{map[string]any{"type": "object"}, map[string]any{"type": "null"}}}
			}
			for name, property := range declared {
				properties[name] = append(properties[name], markOptional(property))
			}
		}
	}
	merged := map[string]any{noArguments: map[string]any{}}
	for name, property := range properties {
		merged[name] = map[string]any{"anyOf": property}
	}
	return map[string]any{"type": "object", "properties": merged}
}

// markOptional marks each object in a schema whose members are known.
func markOptional(schema any) any {
	switch schema := schema.(type) {
	case []any:
		marked := make([]any, 0, len(schema))
		for _, one := range schema {
			marked = append(marked, markOptional(one))
		}
		return marked
	case map[string]any:
		marked := maps.Clone(schema)
		for _, word := range []string{"anyOf", "items"} {
			if schema[word] != nil {
				marked[word] = markOptional(schema[word])
			}
		}
		if properties, ok := schema["properties"].(map[string]any); ok {
			members := map[string]any{noArguments: map[string]any{}}
			for name, property := range properties {
				members[name] = markOptional(property)
			}
			marked["properties"] = members
		}
		return marked
	}
	return schema
}

// isToolSchema is true of the names that annotations have for the arguments of a tool.
func (types *argumentTypes) isToolSchema(name string) bool {
	parts := strings.SplitN(name, "/", 3)
	return len(parts) == 3 && parts[0] == "tools" && types.tools[parts[1]][parts[2]] != nil
}

// addTo puts the hidden members into the input's schema. By its own name it has the arguments of any tool, for whoever reads
// them by another way than `input.mcp.arguments`; not "or null", since OPA then looks no further.
func (types *argumentTypes) addTo(input any) {
	for _, step := range []string{"properties", "mcp", "properties"} {
		object, ok := input.(map[string]any)
		if !ok {
			return
		}
		input = object[step]
	}
	if members, ok := input.(map[string]any); ok && len(types.tools) > 0 {
		members["arguments"] = types.merge(nil, nil)
		for name, schema := range types.schemas {
			members[name] = schema
		}
	}
}

// hasOtherInput is true where a module says itself what its input looks like, and it is not the published schema.
func hasOtherInput(module *ast.Module) bool {
	for _, annotations := range module.Annotations {
		if annotations.Scope != "package" && annotations.Scope != "subpackages" {
			continue
		}
		for _, one := range annotations.Schemas {
			if one.Path.HasPrefix(ast.InputRootRef) && one.Schema.String() != `schema["input.v1"]` {
				return true
			}
		}
	}
	return false
}

func bindsInput(annotations []*ast.Annotations) bool {
	return slices.ContainsFunc(annotations, func(one *ast.Annotations) bool {
		return slices.ContainsFunc(one.Schemas, func(schema *ast.SchemaAnnotation) bool {
			return schema.Path.HasPrefix(ast.InputRootRef)
		})
	})
}
