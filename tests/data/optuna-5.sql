BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('v3.2.0.a');
CREATE TABLE studies (
	study_id INTEGER NOT NULL, 
	study_name VARCHAR(512) NOT NULL, 
	PRIMARY KEY (study_id)
);
INSERT INTO "studies" VALUES(1,'demo');
CREATE TABLE study_directions (
	study_direction_id INTEGER NOT NULL, 
	direction VARCHAR(8) NOT NULL, 
	study_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	PRIMARY KEY (study_direction_id), 
	UNIQUE (study_id, objective), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_directions" VALUES(1,'MINIMIZE',1,0);
CREATE TABLE study_system_attributes (
	study_system_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_system_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
CREATE TABLE study_user_attributes (
	study_user_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_user_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
CREATE TABLE trial_heartbeats (
	trial_heartbeat_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	heartbeat DATETIME NOT NULL, 
	PRIMARY KEY (trial_heartbeat_id), 
	UNIQUE (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_intermediate_values (
	trial_intermediate_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	intermediate_value FLOAT, 
	intermediate_value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_intermediate_value_id), 
	UNIQUE (trial_id, step), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_params (
	param_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	param_name VARCHAR(512), 
	param_value FLOAT, 
	distribution_json TEXT, 
	PRIMARY KEY (param_id), 
	UNIQUE (trial_id, param_name), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_params" VALUES(1,1,'weight_decay',4.65680463791956554368e-04,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(2,1,'optimizer',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["adamw", "sgd"]}}');
INSERT INTO "trial_params" VALUES(3,1,'lr',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.1, 0.01]}}');
INSERT INTO "trial_params" VALUES(4,2,'weight_decay',2.34074648057675152416e-05,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(5,2,'optimizer',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["adamw", "sgd"]}}');
INSERT INTO "trial_params" VALUES(6,2,'lr',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.1, 0.01]}}');
INSERT INTO "trial_params" VALUES(7,3,'weight_decay',4.75092372103061129709e-04,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(8,3,'optimizer',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["adamw", "sgd"]}}');
INSERT INTO "trial_params" VALUES(9,3,'lr',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.1, 0.01]}}');
INSERT INTO "trial_params" VALUES(10,4,'weight_decay',4.80695482496159946783e-03,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(11,4,'optimizer',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["adamw", "sgd"]}}');
INSERT INTO "trial_params" VALUES(12,4,'lr',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.1, 0.01]}}');
INSERT INTO "trial_params" VALUES(13,5,'weight_decay',1.59579931642129663194e-02,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(14,5,'optimizer',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["adamw", "sgd"]}}');
INSERT INTO "trial_params" VALUES(15,5,'lr',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.1, 0.01]}}');
INSERT INTO "trial_params" VALUES(16,6,'weight_decay',3.78814552109711932814e-02,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(17,6,'optimizer',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["adamw", "sgd"]}}');
INSERT INTO "trial_params" VALUES(18,6,'lr',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.1, 0.01]}}');
INSERT INTO "trial_params" VALUES(19,7,'weight_decay',2.47392959130401802049e-05,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(20,7,'optimizer',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["adamw", "sgd"]}}');
INSERT INTO "trial_params" VALUES(21,7,'lr',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.1, 0.01]}}');
INSERT INTO "trial_params" VALUES(22,8,'weight_decay',1.82836342098445324812e-04,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(23,8,'optimizer',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["adamw", "sgd"]}}');
INSERT INTO "trial_params" VALUES(24,8,'lr',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.1, 0.01]}}');
INSERT INTO "trial_params" VALUES(25,9,'weight_decay',0.0902494067192741,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(26,9,'optimizer',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["adamw", "sgd"]}}');
INSERT INTO "trial_params" VALUES(27,9,'lr',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.1, 0.01]}}');
INSERT INTO "trial_params" VALUES(28,10,'weight_decay',6.18833911651752517808e-04,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(29,10,'optimizer',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["adamw", "sgd"]}}');
INSERT INTO "trial_params" VALUES(30,10,'lr',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.1, 0.01]}}');
INSERT INTO "trial_params" VALUES(31,11,'weight_decay',1.19527498747768835872e-05,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(32,11,'optimizer',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["adamw", "sgd"]}}');
INSERT INTO "trial_params" VALUES(33,11,'lr',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.1, 0.01]}}');
INSERT INTO "trial_params" VALUES(34,12,'weight_decay',1.63474561263767687868e-05,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(35,12,'optimizer',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["adamw", "sgd"]}}');
INSERT INTO "trial_params" VALUES(36,12,'lr',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.1, 0.01]}}');
CREATE TABLE trial_system_attributes (
	trial_system_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_system_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_user_attributes (
	trial_user_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_user_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_user_attributes" VALUES(1,1,'seed','0');
INSERT INTO "trial_user_attributes" VALUES(2,1,'note','"it''s"');
INSERT INTO "trial_user_attributes" VALUES(3,2,'seed','1');
INSERT INTO "trial_user_attributes" VALUES(4,2,'note','"it''s"');
INSERT INTO "trial_user_attributes" VALUES(5,3,'seed','2');
INSERT INTO "trial_user_attributes" VALUES(6,3,'note','"it''s"');
INSERT INTO "trial_user_attributes" VALUES(7,4,'seed','3');
INSERT INTO "trial_user_attributes" VALUES(8,4,'note','"it''s"');
INSERT INTO "trial_user_attributes" VALUES(9,5,'seed','4');
INSERT INTO "trial_user_attributes" VALUES(10,5,'note','"it''s"');
INSERT INTO "trial_user_attributes" VALUES(11,6,'seed','5');
INSERT INTO "trial_user_attributes" VALUES(12,6,'note','"it''s"');
INSERT INTO "trial_user_attributes" VALUES(13,7,'seed','6');
INSERT INTO "trial_user_attributes" VALUES(14,7,'note','"it''s"');
INSERT INTO "trial_user_attributes" VALUES(15,8,'seed','7');
INSERT INTO "trial_user_attributes" VALUES(16,8,'note','"it''s"');
INSERT INTO "trial_user_attributes" VALUES(17,9,'seed','8');
INSERT INTO "trial_user_attributes" VALUES(18,9,'note','"it''s"');
INSERT INTO "trial_user_attributes" VALUES(19,10,'seed','9');
INSERT INTO "trial_user_attributes" VALUES(20,10,'note','"it''s"');
INSERT INTO "trial_user_attributes" VALUES(21,11,'seed','10');
INSERT INTO "trial_user_attributes" VALUES(22,11,'note','"it''s"');
INSERT INTO "trial_user_attributes" VALUES(23,12,'seed','11');
INSERT INTO "trial_user_attributes" VALUES(24,12,'note','"it''s"');
CREATE TABLE trial_values (
	trial_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	value FLOAT, 
	value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_value_id), 
	UNIQUE (trial_id, objective), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_values" VALUES(1,1,0,1.02795620312800073392e+00,'FINITE');
INSERT INTO "trial_values" VALUES(2,2,0,1.21738492013835819527e+00,'FINITE');
INSERT INTO "trial_values" VALUES(3,3,0,1.02729108312549710646e+00,'FINITE');
INSERT INTO "trial_values" VALUES(4,5,0,NULL,'INF_POS');
INSERT INTO "trial_values" VALUES(5,7,0,1.21225533048881,'FINITE');
INSERT INTO "trial_values" VALUES(6,8,0,1.06796027249866076758e+00,'FINITE');
INSERT INTO "trial_values" VALUES(7,9,0,1.12922743374453871112e+00,'FINITE');
INSERT INTO "trial_values" VALUES(8,10,0,1.01925638126947637474e+00,'FINITE');
INSERT INTO "trial_values" VALUES(9,11,0,1.28457415071359548619e+00,'FINITE');
INSERT INTO "trial_values" VALUES(10,12,0,1.25214842212318555603e+00,'FINITE');
CREATE TABLE trials (
	trial_id INTEGER NOT NULL, 
	number INTEGER, 
	study_id INTEGER, 
	state VARCHAR(8) NOT NULL, 
	datetime_start DATETIME, 
	datetime_complete DATETIME, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "trials" VALUES(1,0,1,'COMPLETE','2026-11-29 02:02:56.427519','2026-11-29 02:02:56.649025');
INSERT INTO "trials" VALUES(2,1,1,'COMPLETE','2026-11-29 02:02:56.695638','2026-11-29 02:02:56.890485');
INSERT INTO "trials" VALUES(3,2,1,'COMPLETE','2026-11-29 02:02:56.934161','2026-11-29 02:02:57.105807');
INSERT INTO "trials" VALUES(4,3,1,'PRUNED','2026-11-29 02:02:57.151180','2026-11-29 02:02:57.377157');
INSERT INTO "trials" VALUES(5,4,1,'COMPLETE','2026-11-29 02:02:57.435165','2026-11-29 02:02:57.657654');
INSERT INTO "trials" VALUES(6,5,1,'FAIL','2026-11-29 02:02:57.682863','2026-11-29 02:02:57.724425');
INSERT INTO "trials" VALUES(7,6,1,'COMPLETE','2026-11-29 02:02:57.728320','2026-11-29 02:02:57.740860');
INSERT INTO "trials" VALUES(8,7,1,'COMPLETE','2026-11-29 02:02:57.744975','2026-11-29 02:02:57.757058');
INSERT INTO "trials" VALUES(9,8,1,'COMPLETE','2026-11-29 02:02:57.768437','2026-11-29 02:02:57.795917');
INSERT INTO "trials" VALUES(10,9,1,'COMPLETE','2026-11-29 02:02:57.810944','2026-11-29 02:02:58.065237');
INSERT INTO "trials" VALUES(11,10,1,'COMPLETE','2026-11-29 02:02:58.115207','2026-11-29 02:02:58.385346');
INSERT INTO "trials" VALUES(12,11,1,'COMPLETE','2026-11-29 02:02:58.430268','2026-11-29 02:02:58.665463');
INSERT INTO "trials" VALUES(13,12,1,'RUNNING','2026-11-29 02:02:58.710137',NULL);
CREATE TABLE version_info (
	version_info_id INTEGER NOT NULL, 
	schema_version INTEGER, 
	library_version VARCHAR(256), 
	PRIMARY KEY (version_info_id), 
	CHECK (version_info_id=1)
);
INSERT INTO "version_info" VALUES(1,12,'5.0.0');
CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name);
CREATE INDEX ix_trials_study_id ON trials (study_id);
COMMIT;
