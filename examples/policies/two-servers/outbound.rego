package mcp.outbound

import data.mcp.lib.outbound

decision := outbound.decision
