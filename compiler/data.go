package main

import (
	"encoding/json"
	"errors"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/util"
)

var yamlRow = regexp.MustCompile(`line (\d+):`)

// broken are data files that cannot be read. OPA says what is wrong with one, and not always which.
func (asked request) broken() problemList {
	var found problemList
	for name, text := range asked.Files {
		if !slices.Contains([]string{"data.json", "data.yaml", "data.yml"}, path.Base(name)) {
			continue
		}
		var value any
		read := util.Unmarshal
		if path.Ext(name) == ".json" {
			read = util.UnmarshalJSON
		}
		if err := read([]byte(strings.TrimPrefix(text, "\ufeff")), &value); err != nil {
			found = append(found, describeBroken(name, text, err))
		}
	}
	return found
}

func describeBroken(name, text string, err error) problem {
	one := problem{Code: "data_invalid", Message: err.Error(), File: path.Clean(name)}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		before := text[:min(int(syntax.Offset), len(text))]
		one.Message, one.Row = "is no JSON: "+one.Message, strings.Count(before, "\n")+1
	} else if row := yamlRow.FindStringSubmatch(one.Message); row != nil {
		one.Row, _ = strconv.Atoi(row[1])
	}
	return one
}
