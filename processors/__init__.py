"""What happens: pure decision logic. It reads records and a dossier, and answers with records; it does no I/O."""
