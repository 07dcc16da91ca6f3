package main

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// aliases are names that stand for a part of `input`: of imports, of rules without a condition, and of the rule itself.
type aliases map[ast.Var]ast.Ref

func moduleAliases(module *ast.Module) aliases {
	found := aliases{}
	for _, imported := range module.Imports {
		if ref, ok := imported.Path.Value.(ast.Ref); ok && ref.HasPrefix(ast.InputRootRef) {
			found[imported.Name()] = ref
		}
	}
	seen := map[ast.Var]bool{}
	for _, rule := range module.Rules {
		head := rule.Head
		name, ok := head.Ref()[0].Value.(ast.Var)
		if !ok {
			continue
		}
		if seen[name] || len(head.Ref()) > 1 || len(head.Args) > 0 || head.Value == nil || rule.Else != nil {
			delete(found, name)
		} else {
			found.note(name, head.Value.Value)
		}
		seen[name] = true
	}
	return found
}

// within are those that a rule sees.
func (known aliases) within(rule *ast.Rule) aliases {
	found := aliases{}
	for name, ref := range known {
		found[name] = ref
	}
	for _, arg := range rule.Head.Args {
		ast.WalkVars(arg, func(name ast.Var) bool {
			delete(found, name)
			return false
		})
	}
	ast.WalkExprs(rule, func(expr *ast.Expr) bool {
		if (expr.IsAssignment() || expr.IsEquality()) && len(expr.Operands()) == 2 {
			if name, ok := expr.Operand(0).Value.(ast.Var); ok {
				found.note(name, expr.Operand(1).Value)
			}
		}
		return false
	})
	return found
}

func (known aliases) note(name ast.Var, value ast.Value) {
	delete(known, name)
	if ref, ok := value.(ast.Ref); ok {
		known[name] = ref
	}
}

const maxSteps = 10

// expand has what a term stands for, if that is a part of `input`.
func (known aliases) expand(term *ast.Term) (ast.Ref, bool) {
	var ref ast.Ref
	switch value := term.Value.(type) {
	case ast.Var:
		ref = ast.Ref{term}
	case ast.Ref:
		ref = value
	}
	for range maxSteps {
		if len(ref) == 0 {
			return nil, false
		}
		if ref.HasPrefix(ast.InputRootRef) {
			return ref, true
		}
		name, _ := ref[0].Value.(ast.Var)
		target, ok := known[name]
		if !ok {
			return nil, false
		}
		ref = target.Concat(ref[1:])
	}
	return nil, false
}

// showGets lets OPA see what object.get reads of `input`: a reference beside the value that stands for what is not there.
func showGets(module *ast.Module) {
	known := moduleAliases(module)
	ast.WalkRules(module, func(rule *ast.Rule) bool {
		mine := known.within(rule)
		show := func(_ *ast.Location, terms []*ast.Term) {
			if len(terms) == 4 && terms[0].Value.String() == ast.ObjectGet.Name {
				mine.showGet(terms[1:])
			}
		}
		walkCalls(rule, show)
		return false
	})
}

func (known aliases) showGet(operands []*ast.Term) {
	ref, ok := known.expand(operands[0])
	keys := constantKeys(operands[1])
	if !ok || len(keys) == 0 {
		return
	}
	read := &ast.Term{Value: ref.Concat(keys), Location: keys[0].Location}
	operands[2] = &ast.Term{Value: ast.NewArray(operands[2], read), Location: operands[2].Location}
}

func constantKeys(term *ast.Term) []*ast.Term {
	switch value := term.Value.(type) {
	case ast.String:
		return []*ast.Term{term}
	case *ast.Array:
		var keys []*ast.Term
		for index := range value.Len() {
			if _, ok := value.Elem(index).Value.(ast.String); !ok {
				break
			}
			keys = append(keys, value.Elem(index))
		}
		return keys
	}
	return nil
}
