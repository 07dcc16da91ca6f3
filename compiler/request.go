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

	// test
	Run      string `json:"run"`
	Coverage bool   `json:"coverage"`

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
}

func problems(err error) []problem {
	switch err := err.(type) {
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
	found := problem{Code: err.Code, Message: err.Message}
	if err.Location != nil {
		found.File, found.Row, found.Column = err.Location.File, err.Location.Row, err.Location.Col
	}
	if err.Details != nil {
		if lines := err.Details.Lines(); len(lines) > 0 {
			found.Message += "\n" + strings.Join(lines, "\n")
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

func (asked request) schemas() (*ast.SchemaSet, error) {
	if len(asked.Schemas) == 0 {
		return nil, nil
	}
	set := ast.NewSchemaSet()
	for name, text := range asked.Schemas {
		var schema any
		if err := util.Unmarshal(text, &schema); err != nil {
			return nil, fmt.Errorf("schema %s: %w", name, err)
		}
		set.Put(ast.SchemaRootRef.Append(ast.StringTerm(name)), schema)
	}
	return set, nil
}
