"""What the administering account does before and beside statements.

entrance    gets in past the settings of a database, and warns about its owner
logins      finds the logins that are under way
console     lists the clients of a pooler
"""
