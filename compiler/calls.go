package main

import "github.com/open-policy-agent/opa/v1/ast"

// walkCalls visits every call below node: the operator and its operands, whether it stands as an expression or within one.
func walkCalls(node any, visit func(at *ast.Location, terms []*ast.Term)) {
	ast.WalkExprs(node, func(expr *ast.Expr) bool {
		if terms, ok := expr.Terms.([]*ast.Term); ok && len(terms) > 0 {
			visit(expr.Location, terms)
		}
		return false
	})
	ast.WalkTerms(node, func(term *ast.Term) bool {
		if call, ok := term.Value.(ast.Call); ok && len(call) > 0 {
			visit(term.Location, call)
		}
		return false
	})
}
