// The real OPA as one function: a request as JSON on standard input, an answer as JSON on standard output. It is compiled
// to WebAssembly (WASI) and gets neither files nor a network: what it may know is in the request.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/version"
)

// softMemoryLimit lets the garbage collector work before the host's hard limit ends everything.
const softMemoryLimit = 384 << 20

type answer struct {
	Result any       `json:"result,omitempty"`
	Errors []problem `json:"errors,omitempty"`
}

func main() {
	debug.SetMemoryLimit(softMemoryLimit)
	var asked request
	decoder := json.NewDecoder(os.Stdin)
	decoder.UseNumber()
	if err := decoder.Decode(&asked); err != nil {
		fmt.Fprintln(os.Stderr, "the request cannot be read:", err)
		os.Exit(2)
	}
	result, err := run(asked)
	given := answer{Result: result}
	if err != nil {
		given = answer{Errors: problems(err)}
		if broken := asked.broken(); len(broken) > 0 {
			given.Errors = broken
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(given); err != nil {
		fmt.Fprintln(os.Stderr, "the answer cannot be written:", err)
		os.Exit(2)
	}
}

func run(asked request) (any, error) {
	switch asked.Command {
	case "build":
		return build(asked)
	case "check":
		return check(asked)
	case "decisions":
		return decisions(asked)
	case "test":
		return test(asked)
	case "eval":
		return eval(asked)
	case "capabilities":
		return ast.CapabilitiesForThisVersion(), nil
	case "version":
		return map[string]string{"opa": version.Version}, nil
	}
	return nil, fmt.Errorf("there is no command %q", asked.Command)
}
