package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"testing/fstest"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/loader"
	"github.com/open-policy-agent/opa/v1/util"
)

// request is what can be asked. The files are read as `opa` reads a folder: paths are relative, with slashes, and the folder
// of a data file is its path in data.
type request struct {
	Command      string                     `json:"command"`
	Files        map[string]string          `json:"files"`
	Capabilities json.RawMessage            `json:"capabilities"`
	Schemas      map[string]json.RawMessage `json:"schemas"`

	// build
	Target      string   `json:"target"`
	Entrypoints []string `json:"entrypoints"`
	// Entry points as well, where there is such a rule.
	OptionalEntrypoints []string `json:"optional_entrypoints"`
	Revision            string   `json:"revision"`
	// The files are a bundle: .manifest counts, and what is in it must lie below its roots.
	AsBundle bool `json:"as_bundle"`

	// check
	// Name of the schema that `input` has everywhere but below data.system.
	InputSchema string `json:"input_schema"`
	// Schemas of arguments by backend and tool.
	Tools           map[string]map[string]map[string]any `json:"tools"`
	LackingBuiltins []string                             `json:"lacking_builtins"`
	// Those that a decision may give.
	Reasons []string `json:"reasons"`

	// test
	Run      string `json:"run"`
	Coverage bool   `json:"coverage"`

	// test, each; eval
	TimeoutMs int64 `json:"timeout_ms"`

	// eval
	Query string          `json:"query"`
	Input json.RawMessage `json:"input"`
	Trace bool            `json:"trace"`
}

type problem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	File    string `json:"file,omitempty"`
	Row     int    `json:"row,omitempty"`
	Column  int    `json:"col,omitempty"`
	// Where a name is not one of those that there are.
	Unknown *unknown `json:"unknown,omitempty"`
}

type unknown struct {
	// The whole reference, where it is one.
	Ref   string   `json:"ref,omitempty"`
	Name  string   `json:"name"`
	Names []string `json:"names"`
	// Of arguments: which tools they are of.
	Of string `json:"of,omitempty"`
}

type problemList []problem

func (list problemList) Error() string { return fmt.Sprintf("%d problems", len(list)) }

func problems(err error) []problem {
	switch err := err.(type) {
	case problemList:
		return err
	case ast.Errors:
		found := make([]problem, 0, len(err))
		for _, one := range err {
			found = append(found, describe(one))
		}
		return found
	case *ast.Error:
		return []problem{describe(err)}
	case loader.Errors:
		var found []problem
		for _, one := range err {
			found = append(found, problems(one)...)
		}
		return found
	case interface{ Unwrap() error }:
		if inner := err.Unwrap(); inner != nil {
			return problems(inner)
		}
	}
	return []problem{{Code: "error", Message: err.Error()}}
}

func describe(err *ast.Error) problem {
	found := problem{Code: err.Code, Message: withoutHiddenNames(err.Message)}
	if err.Location != nil {
		found.File, found.Row, found.Column = err.Location.File, err.Location.Row, err.Location.Col
	}
	if err.Details != nil {
		if detail, ok := err.Details.(*ast.RefErrInvalidDetail); ok {
			describeUnknown(&found, detail)
		}
		if found.Unknown != nil {
			return found
		}
		if lines := err.Details.Lines(); len(lines) > 0 {
			found.Message += "\n" + withoutHiddenNames(strings.Join(lines, "\n"))
		}
	}
	return found
}

func (asked request) files() fs.FS {
	files := fstest.MapFS{}
	for name, text := range asked.Files {
		files[path.Clean(name)] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	return files
}

func (asked request) capabilities() (*ast.Capabilities, error) {
	if asked.Capabilities == nil {
		return ast.CapabilitiesForThisVersion(), nil
	}
	return ast.LoadCapabilitiesJSON(bytes.NewReader(asked.Capabilities))
}

// describeUnknown also says where the name itself is, not only the expression around it.
func describeUnknown(found *problem, detail *ast.RefErrInvalidDetail) {
	element := detail.Ref[detail.Pos]
	name, ok := element.Value.(ast.String)
	if !ok || len(detail.OneOf) == 0 {
		return
	}
	if element.Location != nil && element.Location.File == found.File {
		found.Row, found.Column = element.Location.Row, element.Location.Col
	}
	found.Unknown = &unknown{Ref: withoutHiddenNames(detail.Ref.String()), Name: string(name), Names: []string{}}
	for _, one := range detail.OneOf {
		if name, ok := one.(ast.String); ok && !isHidden(string(name)) {
			found.Unknown.Names = append(found.Unknown.Names, string(name))
		}
	}
	for _, part := range detail.Ref {
		if text, ok := part.Value.(ast.String); ok {
			if label, hidden := strings.CutPrefix(string(text), argumentNames); hidden {
				found.Unknown.Of = label
			}
		}
	}
}

func parseSchema(text json.RawMessage) (any, error) {
	var schema any
	err := util.Unmarshal(text, &schema)
	return schema, err
}
