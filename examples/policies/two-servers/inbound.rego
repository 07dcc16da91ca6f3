# METADATA
# title: The two reference servers, out of modules
# description: What each module decides stands in data.yaml. Whatever one of them refuses is refused.
package mcp.inbound

import data.mcp.lib.abac
import data.mcp.lib.agent_and_user
import data.mcp.lib.combine
import data.mcp.lib.protocol
import data.mcp.lib.rbac
import data.mcp.lib.read_only
import data.mcp.lib.scopes
import data.mcp.lib.tenancy

decision := combine.decide([
	protocol.refusals,
	agent_and_user.refusals,
	tenancy.refusals,
	read_only.refusals,
	rbac.refusals,
	scopes.refusals,
	abac.refusals,
])
