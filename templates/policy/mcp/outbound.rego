# Which token does the backend get? Asked only after inbound allowed. For a call one that opens this tool and no other, for
# everything else one that opens none, and for a few seconds only.
package mcp.outbound

default operation := "protocol"

operation := input.mcp.tool if input.mcp.method == "tools/call"

decision := {
	"allow": true,
	"reason": "allowed",
	"audience": data.access.backends[input.mcp.backend].audience,
	"scope": concat(":", [input.mcp.backend, operation]),
	"ttl_seconds": 5,
}
