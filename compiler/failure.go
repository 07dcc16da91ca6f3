package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
)

// To find out why a test failed its body is evaluated once more, each time one expression further.

const maxShownRunes = 1000

// locate puts the first expression that does not hold into the result, and what its two sides are where it compares.
func (running runner) locate(one *testResult, compiled *ast.Rule) {
	module, rule := running.written(one)
	if rule == nil {
		return
	}
	if len(one.Cases) == 0 {
		one.Row, one.Message, one.Values = running.firstFalse(module, rule, nil)
		return
	}
	names := rule.Head.Ref()[len(testRef(rule.Head)):]
	for index := range one.Cases {
		failed := &one.Cases[index]
		failed.Row, failed.Message, failed.Values = running.firstFalse(module, rule, bound(names, failed.keys))
	}
}

// bound are expressions that demand these keys of a case.
func bound(names, keys []*ast.Term) []*ast.Expr {
	var demands []*ast.Expr
	for index := range min(len(names), len(keys)) {
		demands = append(demands, ast.Equality.Expr(names[index].Copy(), keys[index]))
	}
	return demands
}

// written is the rule of a test as it stands in its file.
func (running runner) written(one *testResult) (*ast.Module, *ast.Rule) {
	module := running.modules[one.File]
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

func (running runner) firstFalse(module *ast.Module, rule *ast.Rule, demands []*ast.Expr) (int, string, []string) {
	for end := 1; end <= len(rule.Body); end++ {
		// A name may be bound only later, and then the first expressions are no query of their own.
		if _, holds, err := running.eval(module, rule.Body[:end], demands); err == nil && !holds {
			return running.describe(module, rule.Body[:end], demands)
		}
	}
	return rule.Location.Row, "", nil
}

func (running runner) describe(module *ast.Module, body ast.Body, demands []*ast.Expr) (row int, message string, values []string) {
	expr := body[len(body)-1]
	row, message = expr.Location.Row, cut(strings.TrimSpace(string(expr.Location.Text)))
	if expr.Negated || !expr.IsEquality() && expr.Operator().String() != ast.Equal.Name {
		return row, message, nil
	}
	for _, operand := range expr.Operands() {
		if ast.IsConstant(operand.Value) {
			continue
		}
		shown := "undefined"
		if value, holds, err := running.eval(module, assigned(body, operand), demands); err == nil && holds {
			shown = cutTo(value.String(), maxShownRunes)
		}
		text := operand.String()
		if operand.Location != nil && len(operand.Location.Text) > 0 {
			text = string(operand.Location.Text)
		}
		values = append(values, fmt.Sprintf("%s is %s", cut(text), shown))
	}
	return row, message, values
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

func (running runner) eval(module *ast.Module, body ast.Body, demands []*ast.Expr) (ast.Value, bool, error) {
	query := body.Copy()
	for _, demand := range demands {
		query.Append(demand.Copy())
	}
	prepared, err := rego.New(
		rego.ParsedQuery(query),
		rego.ParsedPackage(module.Package),
		rego.ParsedImports(module.Imports),
		rego.Compiler(running.compiler),
		rego.Store(running.store),
		rego.Transaction(running.txn),
	).PrepareForEval(context.Background())
	if err != nil {
		return nil, false, err
	}
	limit := rego.EvalExternalCancel(newDeadline(running.timeout))
	results, err := prepared.Eval(context.Background(), rego.EvalTransaction(running.txn), limit)
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
