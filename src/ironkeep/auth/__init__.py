"""Auth methods: ways to prove who one is, each answering with a token."""
