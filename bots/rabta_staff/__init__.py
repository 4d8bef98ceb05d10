"""Staff in and out: who serves a ministry, on which post, and what becomes of their accounts."""
