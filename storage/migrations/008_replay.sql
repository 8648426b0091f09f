-- What a decision rests on besides the readings themselves, so that it can be made again from here alone: which readings
-- came together and in which order, what registry and people told the engine and when it took it, and when Vigie was
-- down. A place is a position of the journal; engine time never goes back along them.

-- One request of one patient is one unit of decision: request_position is the place of its first reading in the journal
-- of the patient's shard, request_index counts them. NULL: stored before this was kept.
ALTER TABLE vigie.reading ADD COLUMN request_position bigint, ADD COLUMN request_index smallint;
ALTER TABLE vigie.quarantine ADD COLUMN request_position bigint, ADD COLUMN request_index smallint;

-- Commands as they were journaled: patients, rule versions, confirmations, references, suspensions, departures, what is
-- done about episodes, what the node knows of itself. `json` keeps bytes. A command that concerns everyone stands once a
-- shard.
CREATE TABLE vigie.journal_command (
    shard      integer NOT NULL,
    position   bigint NOT NULL,
    decided_at timestamptz NOT NULL, -- engine time of the turn that took it
    payload    json NOT NULL,
    command    text GENERATED ALWAYS AS (payload->>'command') STORED,
    patient_id bigint GENERATED ALWAYS AS (
                   coalesce((payload->>'patient_id')::bigint,
                            CASE WHEN payload->>'layer' = 'patient' THEN (payload->>'scope')::bigint END)) STORED,
    episode_id uuid GENERATED ALWAYS AS ((payload->>'episode')::uuid) STORED,
    PRIMARY KEY (shard, position)
);
CREATE INDEX ON vigie.journal_command (patient_id) WHERE patient_id IS NOT NULL;
CREATE INDEX ON vigie.journal_command (episode_id) WHERE episode_id IS NOT NULL;
CREATE INDEX journal_command_of_all ON vigie.journal_command (shard, position)
    WHERE patient_id IS NULL AND episode_id IS NULL;

-- Ticks at which time was found that was no up time: the first of each process, and a wall clock that was confirmed.
CREATE TABLE vigie.engine_start (
    shard     integer NOT NULL,
    position  bigint NOT NULL,
    since     timestamptz, -- engine time of the tick before; NULL: the node's first
    engine_at timestamptz NOT NULL,
    up_ms     bigint NOT NULL,
    kind      smallint NOT NULL CHECK (kind IN (1, 2)), -- 1: the first of a process, 2: a wall clock confirmed
    PRIMARY KEY (shard, position)
);

GRANT SELECT, INSERT ON vigie.journal_command, vigie.engine_start TO vigie_loader;
