# METADATA
# title: Only reading
# description: |
#   Where the switch is on, a tool that its server does not call read-only is refused: what is not annotated counts as
#   writing. The annotation is the server's word about itself, so it never allows what another module refuses.
#   Data: data.read_only.
# scope: package
# schemas:
#   - input: schema["input.v1"]
#   - data.read_only: schema["read-only.v1"]
package mcp.lib.read_only

import data.mcp.lib.request

# METADATA
# description: What this module refuses.
refusals contains {"rule": "read_only", "reason": "read_only"} if {
	request.kind == "tools"
	frozen
	not input.tool.annotations.readOnlyHint == true
}

frozen if data.read_only.everywhere != false

# A switch that cannot be read is on.
frozen if {
	some switch in [found | found := data.read_only]
	not readable(switch)
}

readable(switch) if {
	request.only(switch, ["everywhere", "backends", "clients"])
	request.names(object.get(switch, "backends", []))
	request.names(object.get(switch, "clients", []))
}

frozen if input.mcp.backend in data.read_only.backends

frozen if input.principal.clientId in data.read_only.clients

frozen if {
	some actor in input.principal.actor
	actor.sub in data.read_only.clients
}
