/* Reads the units of a serialised SC2APIProtocol.ObservationRaw into rows of doubles: the fast twin of
 * unit_records.read_units, which says what a row holds. Every length is checked against the end of the buffer. */
#include "native_messages.h"

enum { MAX_COLUMNS = 64, MAX_FIELDS = 64 };

/* Columns of a row, the column of each field number that is copied as it is (-1: none), and what absent fields are. */
typedef struct {
    int32_t num_columns, x, buff_id_0, order_length, ability_id_0, order_progress_0, is_in_cargo, alliance, owner;
    int32_t unit_columns[MAX_FIELDS], passenger_columns[MAX_FIELDS];
    double unit_defaults[MAX_COLUMNS];
} Layout;

enum { MAX_BUFFS = 2, MAX_ORDERS = 4, MAX_PROGRESSES = 2, NUM_TAGS = 3 };

/* Numbers of every kind: integers of 32 bits come sign-extended, floats as 4 bytes. */
static double read_number(Reader *reader, int wire_type) {
    if (wire_type == VARINT) return (double)(int64_t)read_varint(reader);
    if (wire_type == FIXED32) return read_float(reader);
    skip(reader, wire_type);
    return 0;
}

static int read_point(Reader reader, double *row) {
    while (reader.next < reader.end) {
        uint64_t key = read_varint(&reader);
        if (key >> 3 >= 1 && key >> 3 <= 3) row[(key >> 3) - 1] = read_number(&reader, key & 7);
        else skip(&reader, key & 7);
    }
    return reader.failed;
}

static int read_order(Reader reader, const Layout *layout, double *row) {
    int index = (int)row[layout->order_length];
    double ability = 0, progress = 0;
    row[layout->order_length] += 1;
    while (reader.next < reader.end) {
        uint64_t key = read_varint(&reader);
        if (key >> 3 == 1) ability = read_number(&reader, key & 7);
        else if (key >> 3 == 4) progress = read_number(&reader, key & 7);
        else skip(&reader, key & 7);
    }
    if (index < MAX_ORDERS) row[layout->ability_id_0 + index] = ability;
    if (index < MAX_PROGRESSES) row[layout->order_progress_0 + index] = progress;
    return reader.failed;
}

static void add_buff(double buff, const Layout *layout, double *row, int *num_buffs) {
    if (*num_buffs < MAX_BUFFS) row[layout->buff_id_0 + *num_buffs] = buff;
    *num_buffs += 1;
}

/* Fills the row of a unit, all defaults before; its passengers are counted in is_in_cargo. */
static int read_unit(Reader reader, const Layout *layout, double *row, int64_t *tags) {
    int num_buffs = 0;
    while (reader.next < reader.end) {
        uint64_t key = read_varint(&reader), field = key >> 3;
        int wire_type = key & 7;
        if (field < MAX_FIELDS && layout->unit_columns[field] >= 0) {
            row[layout->unit_columns[field]] = read_number(&reader, wire_type);
        } else if ((field == 3 || field == 23 || field == 34) && wire_type == VARINT) {
            tags[field == 3 ? 0 : field == 23 ? 1 : 2] = (int64_t)read_varint(&reader);
        } else if (field == 6 && wire_type == BYTES) {
            propagate(&reader, read_point(read_bytes(&reader), row + layout->x));
        } else if (field == 22 && wire_type == BYTES) {
            propagate(&reader, read_order(read_bytes(&reader), layout, row));
        } else if (field == 27 && wire_type == BYTES) {
            Reader packed = read_bytes(&reader);
            while (packed.next < packed.end) add_buff((double)read_varint(&packed), layout, row, &num_buffs);
            reader.failed |= packed.failed;
        } else if (field == 27) {
            add_buff(read_number(&reader, wire_type), layout, row, &num_buffs);
        } else {
            if (field == 24 && wire_type == BYTES) row[layout->is_in_cargo] += 1;
            skip(&reader, wire_type);
        }
    }
    return reader.failed;
}

static int read_passenger(Reader reader, const Layout *layout, const double *carrier, double *row, int64_t *tags) {
    memset(row, 0, (size_t)layout->num_columns * sizeof(double));
    memset(tags, 0, NUM_TAGS * sizeof(int64_t));
    for (int axis = 0; axis < 3; axis++) row[layout->x + axis] = carrier[layout->x + axis];
    row[layout->alliance] = carrier[layout->alliance];
    row[layout->owner] = carrier[layout->owner];
    row[layout->is_in_cargo] = 1;
    while (reader.next < reader.end) {
        uint64_t key = read_varint(&reader), field = key >> 3;
        if (field == 1 && (key & 7) == VARINT) tags[0] = (int64_t)read_varint(&reader);
        else if (field < MAX_FIELDS && layout->passenger_columns[field] >= 0)
            row[layout->passenger_columns[field]] = read_number(&reader, key & 7);
        else skip(&reader, key & 7);
    }
    return reader.failed;
}

static int read_passengers(Reader reader, const Layout *layout, const double *carrier, double *rows, int64_t *tags) {
    while (reader.next < reader.end) {
        uint64_t key = read_varint(&reader);
        if (key >> 3 != 24 || (key & 7) != BYTES) {
            skip(&reader, key & 7);
            continue;
        }
        propagate(&reader, read_passenger(read_bytes(&reader), layout, carrier, rows, tags));
        rows += layout->num_columns;
        tags += NUM_TAGS;
    }
    return reader.failed;
}

/* Returns the number of rows that units and passengers need, or -1 where the bytes hold no well-formed ObservationRaw,
 * or several, at the end of `path`. Rows are all written only where `capacity` holds them: call again with more where
 * it does not. `num_units` gets the units. */
int64_t perceiver_star_read_units(const uint8_t *bytes, int64_t size, const int32_t *path, int64_t depth,
                                  const Layout *layout, double *values, int64_t *tags, int64_t capacity,
                                  int64_t *num_units) {
    int64_t units = 0, passengers = 0;
    double spare_row[MAX_COLUMNS];
    int64_t spare_tags[NUM_TAGS];
    Reader whole = {bytes, bytes + size, 0}, reader = whole;
    if (find_message(whole, path, depth, &reader) != 1) return -1;
    const uint8_t *data = reader.next;
    while (reader.next < reader.end) {
        uint64_t key = read_varint(&reader);
        if (key >> 3 != 2 || (key & 7) != BYTES) {
            skip(&reader, key & 7);
            continue;
        }
        double *row = units < capacity ? values + units * layout->num_columns : spare_row;
        int64_t *unit_tags = units < capacity ? tags + units * NUM_TAGS : spare_tags;
        memcpy(row, layout->unit_defaults, (size_t)layout->num_columns * sizeof(double));
        memset(unit_tags, 0, NUM_TAGS * sizeof(int64_t));
        propagate(&reader, read_unit(read_bytes(&reader), layout, row, unit_tags));
        passengers += (int64_t)row[layout->is_in_cargo];
        units += 1;
    }
    *num_units = units;
    if (reader.failed) return -1;
    if (passengers == 0 || units + passengers > capacity) return units + passengers;

    int64_t next_row = units;
    double *carrier = values;
    reader.next = data;
    while (reader.next < reader.end) {
        uint64_t key = read_varint(&reader);
        if (key >> 3 != 2 || (key & 7) != BYTES) {
            skip(&reader, key & 7);
            continue;
        }
        Reader unit = read_bytes(&reader);
        int64_t count = (int64_t)carrier[layout->is_in_cargo];
        if (count && read_passengers(unit, layout, carrier, values + next_row * layout->num_columns,
                                     tags + next_row * NUM_TAGS))
            return -1;
        carrier[layout->is_in_cargo] = 0;
        next_row += count;
        carrier += layout->num_columns;
    }
    return next_row;
}
