"""The database: one engine, one way to open a transaction, one set of tables, migrations. Knows no table's meaning."""
