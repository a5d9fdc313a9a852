BEGIN TRANSACTION;
CREATE TABLE rows (key TEXT PRIMARY KEY, body TEXT) WITHOUT ROWID;
INSERT INTO "rows" VALUES('head','{"checksum": "880ded9cb419b7bb67d39359ba30c15c", "epoch": 2, "fingerprint": "d3ea5acb9ddf1289", "key_groups": 1024, "manifest": "discarding/epochs/0000000002/manifest.json", "settled": 2}');
INSERT INTO "rows" VALUES('pending#00001795411262536804-000000002-501ff509de42','{"key": "trades/2.csv.gz", "size": 248, "version": "1797a04f9b444d15-f8"}');
INSERT INTO "rows" VALUES('seen#1fa173460f0c006e6193ec5e2545a357793c8823','{"position": "00001795411261427273-000000000-1fa173460f0c"}');
INSERT INTO "rows" VALUES('seen#501ff509de428e4d8a2f71e766f79afbd26326d2','{"position": "00001795411262536804-000000002-501ff509de42"}');
INSERT INTO "rows" VALUES('seen#c4f67b87059417b6c6df3f4b3f53d1499ce48b1a','{"position": "00001795411261988035-000000001-c4f67b870594"}');
COMMIT;
