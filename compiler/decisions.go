package main

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// written is what stands in a rule's head as the value of an entry point.
type written struct {
	Entrypoint string `json:"entrypoint"`
	File       string `json:"file"`
	Row        int    `json:"row"`
	Column     int    `json:"col"`
	// Of an object that is written out, whose names are all known.
	Members []member `json:"members,omitempty"`
}

type member struct {
	Name   string `json:"name"`
	Row    int    `json:"row"`
	Column int    `json:"col"`
	// Absent where it is known only in an evaluation.
	Value json.RawMessage `json:"value,omitempty"`
}

func decisions(asked request) (any, error) {
	loaded, err := asked.load(ast.CapabilitiesForThisVersion())
	if err != nil {
		return nil, err
	}
	found := []written{}
	for _, module := range loaded.ParsedModules() {
		ast.WalkRules(module, func(rule *ast.Rule) bool {
			path, err := module.Package.Path.Extend(rule.Head.Ref().GroundPrefix()).Ptr()
			entrypoint := strings.TrimPrefix(path, "data/")
			if err == nil && slices.Contains(asked.Entrypoints, entrypoint) && rule.Head.Value != nil {
				found = append(found, describeWritten(entrypoint, rule))
			}
			return false
		})
	}
	return found, nil
}

func describeWritten(entrypoint string, rule *ast.Rule) written {
	location := rule.Head.Value.Location
	if location == nil {
		location = rule.Location
	}
	one := written{Entrypoint: entrypoint, File: location.File, Row: location.Row, Column: location.Col}
	object, ok := rule.Head.Value.Value.(ast.Object)
	if !ok || object.Until(func(key, _ *ast.Term) bool { _, named := key.Value.(ast.String); return !named }) {
		return one
	}
	object.Foreach(func(key, value *ast.Term) {
		found := member{Name: string(key.Value.(ast.String)), Row: location.Row, Column: location.Col}
		if key.Location != nil {
			found.Row, found.Column = key.Location.Row, key.Location.Col
		}
		if ast.IsConstant(value.Value) {
			if plain, err := ast.JSON(value.Value); err == nil {
				found.Value, _ = json.Marshal(plain)
			}
		}
		one.Members = append(one.Members, found)
	})
	return one
}
