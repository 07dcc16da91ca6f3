package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
)

// failures find out why a test failed: they evaluate its body once more, each time one expression further.
type failures struct {
	compiler *ast.Compiler
	modules  map[string]*ast.Module
	store    storage.Store
	txn      storage.Transaction
}

const maxShownRunes = 1000

// locate puts the first expression that does not hold into the result, and what its two sides are where it compares.
func (found failures) locate(one *testResult) {
	module, rule := found.rule(one)
	if rule == nil {
		return
	}
	for end := 1; end <= len(rule.Body); end++ {
		// A name may be bound only later, and then the first expressions are no query of their own.
		if _, holds, err := found.eval(module, rule.Body[:end]); err == nil && !holds {
			found.describe(one, module, rule.Body[:end])
			return
		}
	}
}

func (found failures) rule(one *testResult) (*ast.Module, *ast.Rule) {
	module := found.modules[one.File]
	if module == nil {
		return nil, nil
	}
	for _, rule := range module.Rules {
		if rule.Location.Row == one.Row && rule.Else == nil {
			return module, rule
		}
	}
	return nil, nil
}

func (found failures) describe(one *testResult, module *ast.Module, body ast.Body) {
	expr := body[len(body)-1]
	one.Row, one.Message = expr.Location.Row, cut(strings.TrimSpace(string(expr.Location.Text)))
	if expr.Negated || !expr.IsEquality() && expr.Operator().String() != ast.Equal.Name {
		return
	}
	for _, operand := range expr.Operands() {
		if ast.IsConstant(operand.Value) {
			continue
		}
		shown := "undefined"
		if value, holds, err := found.eval(module, assigned(body, operand)); err == nil && holds {
			shown = cutTo(value.String(), maxShownRunes)
		}
		text := operand.String()
		if operand.Location != nil && len(operand.Location.Text) > 0 {
			text = string(operand.Location.Text)
		}
		one.Values = append(one.Values, fmt.Sprintf("%s is %s", cut(text), shown))
	}
}

const valueName = "value_of_a_side"

// assigned is the body with its last expression replaced by one that keeps the operand's value.
func assigned(body ast.Body, operand *ast.Term) ast.Body {
	kept := ast.NewBody()
	for _, expr := range body[:len(body)-1] {
		kept.Append(expr.Copy())
	}
	last := ast.Assign.Expr(ast.VarTerm(valueName), operand.Copy())
	last.With = body[len(body)-1].Copy().With
	kept.Append(last)
	return kept
}

func (found failures) eval(module *ast.Module, body ast.Body) (ast.Value, bool, error) {
	results, err := rego.New(
		rego.ParsedQuery(body.Copy()),
		rego.ParsedPackage(module.Package),
		rego.ParsedImports(module.Imports),
		rego.Compiler(found.compiler),
		rego.Store(found.store),
		rego.Transaction(found.txn),
	).Eval(context.Background())
	if err != nil || len(results) == 0 {
		return nil, false, err
	}
	value, ok := results[0].Bindings[valueName]
	if !ok {
		return nil, true, nil
	}
	term, err := ast.InterfaceToValue(value)
	return term, true, err
}
