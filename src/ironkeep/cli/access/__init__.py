"""Commands about access: logins, tokens, policies, approvals, segments and the agent."""
