"""Exports: files of payments for spreadsheets and programs, written by a worker of their own."""
