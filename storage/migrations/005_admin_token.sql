-- Tokens of the admin port (INTERFACES.md section 7): one role each, kept as SHA-256. A row that is deleted ends its
-- token within a second.
CREATE TABLE vigie.admin_token (
    token_sha256 bytea PRIMARY KEY CHECK (length(token_sha256) = 32),
    role         text NOT NULL CHECK (role IN ('physician', 'nurse', 'operator', 'administrator', 'auditor', 'system')),
    name         text NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 64), -- author of what is done with it
    issued_at    timestamptz NOT NULL DEFAULT now(),
    issued_by    text NOT NULL
);
GRANT SELECT, INSERT, DELETE ON vigie.admin_token TO vigie_registry;
