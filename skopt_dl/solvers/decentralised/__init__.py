"""Methods of agents that have samples of their own and speak with their neighbours alone."""
