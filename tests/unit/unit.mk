# One line a test: test_X links exactly these files of the project.
UNIT_jscan = common/jscan.c common/buf.c common/alloc.c common/log.c
UNIT_json = common/json.c common/json_write.c common/buf.c common/alloc.c \
	common/log.c
UNIT_crypto = common/crypto.c common/ids.c common/log.c common/alloc.c
