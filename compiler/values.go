package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// unknownValues are texts that a rule compares with a part of `input` that is never one of them, by the schema's `enum`.
func (asked request) unknownValues(module *ast.Module) []problem {
	schema, err := parseSchema(asked.Schemas[asked.InputSchema])
	if err != nil || strings.HasSuffix(module.Package.Location.File, "_test.rego") {
		return nil
	}
	var found []problem
	known := moduleAliases(module)
	ast.WalkRules(module, func(rule *ast.Rule) bool {
		mine := known.within(rule)
		judge := func(_ *ast.Location, terms []*ast.Term) {
			if len(terms) == 3 && (isComparison(terms[0]) || terms[0].Value.String() == ast.NotEqual.Name) {
				found = append(found, mine.unknownValues(schema, terms[1], terms[2])...)
				found = append(found, mine.unknownValues(schema, terms[2], terms[1])...)
			}
		}
		walkCalls(rule, judge)
		return false
	})
	return found
}

func (known aliases) unknownValues(schema any, term, other *ast.Term) []problem {
	ref, ok := known.expand(term)
	if !ok {
		return nil
	}
	allowed := textsOf(schema, ref[1:])
	if allowed == nil {
		return nil
	}
	given := textsIn(other)
	if _, ok := other.Value.(ast.String); ok {
		given = []*ast.Term{other}
	}
	var found []problem
	for _, text := range given {
		name := string(text.Value.(ast.String))
		if slices.Contains(allowed, name) {
			continue
		}
		message := fmt.Sprintf("%s is never %q; it is one of %s", ref, name, strings.Join(allowed, ", "))
		one := describe(ast.NewError("value_unknown", text.Location, "%s", message))
		one.Unknown = &unknown{Name: name, Names: allowed}
		found = append(found, one)
	}
	return found
}

// textsOf are all that a part of a schema can be, if it enumerates them, or nil.
func textsOf(schema any, path ast.Ref) []string {
	object, ok := schema.(map[string]any)
	if !ok {
		return nil
	}
	if choices, ok := object["anyOf"].([]any); ok {
		return textsOfAny(choices, path)
	}
	if len(path) > 0 {
		if name, ok := path[0].Value.(ast.String); ok {
			properties, _ := object["properties"].(map[string]any)
			return textsOf(properties[string(name)], path[1:])
		}
		return textsOf(object["items"], path[1:])
	}
	values, _ := object["enum"].([]any)
	var texts []string
	for _, value := range values {
		text, ok := value.(string)
		if !ok {
			return nil
		}
		texts = append(texts, text)
	}
	return texts
}

// textsOfAny leaves out null: a text never equals it.
func textsOfAny(choices []any, path ast.Ref) []string {
	var all []string
	for _, choice := range choices {
		if object, ok := choice.(map[string]any); ok && object["type"] == "null" {
			continue
		}
		texts := textsOf(choice, path)
		if texts == nil {
			return nil
		}
		all = append(all, texts...)
	}
	return all
}
