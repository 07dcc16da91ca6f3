# METADATA
# title: Which delegation token goes to the backend?
# description: |
#   Asked only after inbound said yes. A call of a tool gets a token for that tool; any other message gets one that
#   opens no tool at all. Audience and lifetime stand in ../permissions/data.yaml.
# scope: package
# schemas:
#   - input: schema["input.v1"]
#   - data.permissions: schema["permissions.v1"]
package mcp.outbound

import rego.v1

default decision := {"allow": false, "reason": "policy_denied"}

decision := {
	"allow": true,
	"reason": "allowed",
	"audience": backend.delegation.audience,
	"scope": concat(":", [input.mcp.backend, input.mcp.tool]),
	"ttl_seconds": lifetime(tool, backend),
} if {
	input.version == 1
	input.mcp.method == "tools/call"
	backend := data.permissions.backends[input.mcp.backend]
	tool := backend.tools[input.mcp.tool]
} else := {
	"allow": true,
	"reason": "allowed",
	"audience": backend.delegation.audience,
	"scope": concat(":", [input.mcp.backend, "protocol"]),
	"ttl_seconds": backend.delegation.ttl_seconds,
} if {
	input.version == 1
	input.mcp.method != "tools/call"
	backend := data.permissions.backends[input.mcp.backend]
} else := {"allow": false, "reason": "tool_unknown"} if {
	input.version == 1
	input.mcp.method == "tools/call"
	backend := data.permissions.backends[input.mcp.backend]
	not backend.tools[input.mcp.tool]
}

lifetime(tool, _) := tool.ttl_seconds

lifetime(tool, backend) := backend.delegation.ttl_seconds if not tool.ttl_seconds
