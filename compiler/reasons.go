package main

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// unknownReasons are those written in a decision, an object with `allow` and `reason`, that the sidecar does not take.
func (asked request) unknownReasons(modules map[string]*ast.Module) []problem {
	var found []problem
	for name, module := range modules {
		if len(asked.Reasons) == 0 || strings.HasSuffix(name, "_test.rego") {
			continue
		}
		ast.WalkTerms(module, func(term *ast.Term) bool {
			decision, ok := term.Value.(ast.Object)
			if !ok || decision.Get(ast.StringTerm("allow")) == nil {
				return false
			}
			reason := decision.Get(ast.StringTerm("reason"))
			if reason == nil {
				return false
			}
			text, ok := reason.Value.(ast.String)
			if ok && !slices.Contains(asked.Reasons, string(text)) {
				one := describe(ast.NewError("reason_unknown", reason.Location, "there is no reason %q", string(text)))
				one.Unknown = &unknown{Name: string(text), Names: asked.Reasons}
				found = append(found, one)
			}
			return false
		})
	}
	return found
}
