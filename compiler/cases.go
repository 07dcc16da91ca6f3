package main

import (
	"iter"
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// Of a test with cases, `test_x[name] if …`, the value is an object, perhaps of objects, with true for each case that holds. OPA
// puts a call into the body that tells which case begins, with the keys as they are then.

func caseKeys(event *topdown.Event) []*ast.Term {
	expr, ok := event.Node.(*ast.Expr)
	if !ok || event.Op != topdown.TestCaseOp {
		return nil
	}
	array, ok := expr.Operand(0).Value.(*ast.Array)
	if !ok {
		return nil
	}
	var keys []*ast.Term
	array.Foreach(func(key *ast.Term) { keys = append(keys, key) })
	return keys
}

func caseName(key *ast.Term) string {
	if text, ok := key.Value.(ast.String); ok {
		return string(text)
	}
	return key.Value.String()
}

func valueAt(value any, keys []*ast.Term) any {
	for _, key := range keys {
		members, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = members[caseName(key)]
	}
	return value
}

// leaves are what is no object, with the keys that lead there.
func leaves(value any, keys []*ast.Term) iter.Seq2[[]*ast.Term, any] {
	return func(yield func([]*ast.Term, any) bool) {
		members, ok := value.(map[string]any)
		if !ok {
			yield(keys, value)
			return
		}
		for _, name := range slices.Sorted(maps.Keys(members)) {
			for path, leaf := range leaves(members[name], append(slices.Clone(keys), ast.StringTerm(name))) {
				if !yield(path, leaf) {
					return
				}
			}
		}
	}
}
