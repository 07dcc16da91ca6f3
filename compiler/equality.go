package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/types"
)

// OPA takes each member of an object's type for one that is there. Members of arguments may be absent, so that a comparison of
// theirs that OPA takes for impossible may well hold. Such a comparison is shown to it with a side that can be anything.

// maxPasses bounds how often modules are compiled: an error hides those that come of it.
const maxPasses = 8

// compileOptional compiles modules, which it may change; the second result is what OPA does not say well.
func compileOptional(modules map[string]*ast.Module, compile func() *ast.Compiler) (ast.Errors, []problem, *ast.Compiler) {
	for pass := 1; ; pass++ {
		compiler := compile()
		var kept ast.Errors
		var told []problem
		changed := false
		for _, one := range compiler.Errors {
			operands := comparedAt(modules, one)
			if operands == nil {
				kept = append(kept, one)
				continue
			}
			compared := comparison{}
			if compared.mayHold(one.Details.(*ast.UnificationErrDetail), operands) {
				changed = widen(operands) || changed
			} else if compared.surplus == "" {
				kept = append(kept, one)
			} else {
				told = append(told, compared.describe(one, operands))
			}
		}
		if !changed || pass == maxPasses {
			return kept, told, compiler
		}
	}
}

// comparedAt are the operands of the comparison that an error is about, as they stand in the module.
func comparedAt(modules map[string]*ast.Module, one *ast.Error) []*ast.Term {
	if _, ok := one.Details.(*ast.UnificationErrDetail); !ok || one.Location == nil {
		return nil
	}
	var found []*ast.Term
	note := func(location *ast.Location, terms []*ast.Term) {
		if found == nil && len(terms) == 3 && isSamePlace(location, one.Location) && isComparison(terms[0]) {
			found = terms[1:]
		}
	}
	for _, module := range modules {
		if module.Package.Location.File != one.Location.File {
			continue
		}
		walkCalls(module, note)
	}
	return found
}

func isSamePlace(one, other *ast.Location) bool {
	return one != nil && one.File == other.File && one.Row == other.Row && one.Col == other.Col
}

func isComparison(operator *ast.Term) bool {
	name := operator.Value.String()
	return slices.Contains([]string{ast.Equal.Name, ast.Equality.Name, ast.Assign.Name, ast.Member.Name}, name)
}

// widen lets one side be anything; not one that binds names.
func widen(operands []*ast.Term) bool {
	for index, operand := range operands {
		switch operand.Value.(type) {
		case ast.Ref, ast.Var, ast.Call:
			wide := ast.JSONUnmarshal.Call(ast.JSONMarshal.Call(operand))
			wide.Location = operand.Location
			operands[index] = wide
			return true
		}
	}
	return false
}

// comparison keeps the first name that one side has and the other, being arguments, cannot have.
type comparison struct {
	surplus string
	names   []string
}

func (found *comparison) mayHold(detail *ast.UnificationErrDetail, operands []*ast.Term) bool {
	left, right := detail.Left, detail.Right
	if types.Nil(left) {
		left = typeOf(operands[0])
	}
	if types.Nil(right) {
		right = typeOf(operands[1])
	}
	return hasOptional(left, right) && found.mayEqual(left, right)
}

// typeOf a term as far as it is written out.
func typeOf(term *ast.Term) types.Type {
	switch value := term.Value.(type) {
	case ast.Null:
		return types.NewNull()
	case ast.Boolean:
		return types.B
	case ast.Number:
		return types.N
	case ast.String:
		return types.S
	case *ast.Array:
		var members []types.Type
		value.Foreach(func(member *ast.Term) { members = append(members, typeOf(member)) })
		return types.NewArray(members, nil)
	case ast.Object:
		var static []*types.StaticProperty
		var dynamic *types.DynamicProperty
		value.Foreach(func(key, member *ast.Term) {
			if name, ok := key.Value.(ast.String); ok {
				static = append(static, types.NewStaticProperty(string(name), typeOf(member)))
			} else {
				dynamic = types.NewDynamicProperty(types.A, types.A)
			}
		})
		return types.NewObject(static, dynamic)
	}
	return types.A
}

// hasOptional is true where an object whose members may be absent is somewhere in the types.
func hasOptional(all ...types.Type) bool {
	return slices.ContainsFunc(all, func(one types.Type) bool {
		switch one := bare(one).(type) {
		case *types.Object:
			return isOptional(one) || slices.ContainsFunc(one.StaticProperties(), func(property *types.StaticProperty) bool {
				return hasOptional(property.Value)
			}) || hasOptional(one.DynamicValue())
		case *types.Array:
			for index := range one.Len() {
				if hasOptional(one.Select(index)) {
					return true
				}
			}
			return hasOptional(one.Dynamic())
		case *types.Set:
			return hasOptional(one.Of())
		case types.Any:
			return hasOptional(one...)
		}
		return false
	})
}

func isOptional(object *types.Object) bool {
	return slices.Contains(object.Keys(), any(noArguments))
}

func bare(one types.Type) types.Type {
	switch named := one.(type) {
	case *types.NamedType:
		return bare(named.Type)
	case *types.Recursive:
		// What contains itself is not followed.
		return types.A
	}
	return one
}

func (found *comparison) mayEqual(a, b types.Type) bool {
	a, b = bare(a), bare(b)
	if a == nil || b == nil {
		return true
	}
	if choices, ok := a.(types.Any); ok {
		return found.anyMayEqual(choices, b)
	}
	if choices, ok := b.(types.Any); ok {
		return found.anyMayEqual(choices, a)
	}
	switch a := a.(type) {
	case types.Null:
		return isNullable(b)
	case *types.Object:
		if _, ok := b.(types.Null); ok {
			return isNullable(a)
		}
		other, ok := b.(*types.Object)
		return ok && found.membersMayEqual(a, other) && found.membersMayEqual(other, a)
	case *types.Array:
		other, ok := b.(*types.Array)
		return ok && found.elementsMayEqual(a, other)
	case *types.Set:
		other, ok := b.(*types.Set)
		return ok && found.mayEqual(a.Of(), other.Of())
	}
	return types.Compare(a, b) == 0
}

// isNullable is true of null, and of arguments: there may be none.
func isNullable(one types.Type) bool {
	if object, ok := one.(*types.Object); ok {
		return isOptional(object)
	}
	_, ok := one.(types.Null)
	return ok
}

func (found *comparison) anyMayEqual(choices types.Any, other types.Type) bool {
	return len(choices) == 0 || slices.ContainsFunc(choices, func(one types.Type) bool { return found.mayEqual(one, other) })
}

func (found *comparison) membersMayEqual(a, b *types.Object) bool {
	for _, property := range a.StaticProperties() {
		name, isName := property.Key.(string)
		value := b.Select(property.Key)
		switch {
		case isName && isHidden(name):
		case value != nil:
			if !found.mayEqual(property.Value, value) {
				return false
			}
		case isOptional(a) || a.DynamicValue() != nil || b.DynamicValue() != nil:
		default:
			if isName && isOptional(b) && found.surplus == "" {
				found.surplus, found.names = name, shownNames(b)
			}
			return false
		}
	}
	return true
}

func (found *comparison) elementsMayEqual(a, b *types.Array) bool {
	for index := range max(a.Len(), b.Len()) {
		one, other := a.Select(index), b.Select(index)
		if one == nil || other == nil || !found.mayEqual(one, other) {
			return false
		}
	}
	return true
}

func shownNames(object *types.Object) []string {
	names := []string{}
	for _, key := range object.Keys() {
		if name, ok := key.(string); ok && !isHidden(name) {
			names = append(names, name)
		}
	}
	return names
}

func (found *comparison) describe(one *ast.Error, operands []*ast.Term) problem {
	there := "there are none"
	if len(found.names) > 0 {
		there = "there are " + strings.Join(found.names, ", ")
	}
	location := one.Location
	for _, operand := range operands {
		ast.WalkTerms(operand, func(term *ast.Term) bool {
			if object, ok := term.Value.(ast.Object); ok {
				object.Foreach(func(key, _ *ast.Term) {
					if key.Value.Compare(ast.String(found.surplus)) == 0 && key.Location != nil {
						location = key.Location
					}
				})
			}
			return false
		})
	}
	message := fmt.Sprintf("never true: there is no %q in arguments; %s", found.surplus, there)
	told := describe(ast.NewError(one.Code, location, "%s", message))
	told.Unknown = &unknown{Name: found.surplus, Names: found.names}
	return told
}
