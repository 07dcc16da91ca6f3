# METADATA
# title: Only MCP, and only the part of it you want
# description: |
#   A method that is not listed here, or that comes in another kind of message than its own, is refused. tasks/list is
#   left out: whose tasks a backend lists is its word alone. Data, optional: data.protocol.refuse, methods to do without.
# scope: package
# schemas:
#   - input: schema["input.v1"]
#   - data.protocol: schema["protocol.v1"]
package mcp.lib.protocol

import data.mcp.lib.request

methods := {
	"request": {
		"initialize", "server/discover", "ping",
		"tools/list", "tools/call",
		"prompts/list", "prompts/get", "completion/complete",
		"resources/list", "resources/templates/list", "resources/read", "resources/subscribe", "resources/unsubscribe",
		"tasks/get", "tasks/result", "tasks/update", "tasks/cancel",
		"logging/setLevel", "subscriptions/listen",
	},
	"notification": {
		"notifications/initialized", "notifications/cancelled", "notifications/progress",
		"notifications/roots/list_changed", "notifications/tasks/status",
	},
	"http": {"GET", "DELETE"},
	"response": {null},
}

# METADATA
# description: What this module refuses.
refusals contains {"rule": "protocol", "reason": "method_forbidden"} if not permitted

permitted if {
	input.mcp.method in methods[input.mcp.kind]
	not unwanted
}

# What to do without cannot be read: then without all but the handshake.
unwanted if {
	not request.handshake
	some table in [found | found := data.protocol]
	not readable(table)
}

readable(table) if {
	request.only(table, ["refuse"])
	request.names(object.get(table, "refuse", []))
}

unwanted if input.mcp.method in data.protocol.refuse
