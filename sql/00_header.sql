\echo Use "CREATE EXTENSION expense_flow" to load this file. \quit

