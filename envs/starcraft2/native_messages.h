/* Reads serialised protocol buffers. Every length is checked against the end of the buffer. */
#ifndef PERCEIVER_STAR_NATIVE_MESSAGES_H
#define PERCEIVER_STAR_NATIVE_MESSAGES_H

#include <stdint.h>
#include <string.h>

typedef struct {
    const uint8_t *next, *end;
    int failed;
} Reader;

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

static inline uint64_t read_long_varint(Reader *reader) {
    uint64_t value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
        if (reader->next >= reader->end) break;
        uint8_t byte = *reader->next++;
        if (shift < 64) value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) return value;
    }
    reader->failed = 1;
    reader->next = reader->end;
    return 0;
}

static inline uint64_t read_varint(Reader *reader) {
    if (reader->next < reader->end && *reader->next < 128) return *reader->next++;
    return read_long_varint(reader);
}

static inline double read_float(Reader *reader) {
    float value = 0;
    if (reader->end - reader->next < 4) {
        reader->failed = 1;
        reader->next = reader->end;
        return 0;
    }
    memcpy(&value, reader->next, 4);
    reader->next += 4;
    return value;
}

static inline Reader read_bytes(Reader *reader) {
    uint64_t length = read_varint(reader);
    if (length > (uint64_t)(reader->end - reader->next)) {
        reader->failed = 1;
        length = (uint64_t)(reader->end - reader->next);
    }
    Reader inner = {reader->next, reader->next + length, 0};
    reader->next += length;
    return inner;
}

/* Takes over the failure of an inner message. A function, so that the inner one is read before `failed` is. */
static inline void propagate(Reader *reader, int failed) {
    reader->failed |= failed;
}

static inline void skip(Reader *reader, int wire_type) {
    if (wire_type == VARINT) {
        read_varint(reader);
    } else if (wire_type == BYTES) {
        read_bytes(reader);
    } else if (wire_type == FIXED32 || wire_type == FIXED64) {
        int64_t size = wire_type == FIXED32 ? 4 : 8;
        if (reader->end - reader->next < size) reader->failed = 1;
        reader->next = reader->failed ? reader->end : reader->next + size;
    } else {
        reader->failed = 1;
        reader->next = reader->end;
    }
}

/* Returns how many messages lie at the end of a path of field numbers, -1 where the bytes are no message; `found` gets
 * the last one. */
static inline int64_t find_message(Reader reader, const int32_t *path, int64_t depth, Reader *found) {
    int64_t count = 0;
    if (depth == 0) {
        *found = reader;
        return 1;
    }
    while (reader.next < reader.end) {
        uint64_t key = read_varint(&reader);
        if (key >> 3 != (uint64_t)*path || (key & 7) != BYTES) {
            skip(&reader, key & 7);
            continue;
        }
        int64_t inner = find_message(read_bytes(&reader), path + 1, depth - 1, found);
        if (inner < 0) return -1;
        count += inner;
    }
    return reader.failed ? -1 : count;
}

#endif
