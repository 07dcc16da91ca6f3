package main

import (
	"fmt"
	"strings"

	"github.com/open-policy-agent/opa/v1/topdown/print"
)

const maxPrinted = 64 << 10

// printed keeps what print() in a policy says.
type printed struct{ text strings.Builder }

func (p *printed) Print(ctx print.Context, message string) error {
	if p.text.Len() > maxPrinted {
		return nil
	}
	where := ""
	if ctx.Location != nil {
		where = fmt.Sprintf("%s:%d: ", ctx.Location.File, ctx.Location.Row)
	}
	p.text.WriteString(where + message + "\n")
	return nil
}
