/* Turns records of units into raw_units and entities: the fast twin of raw_units.py and entities.py, which say what the
 * columns hold and hand over the tables. */
#include <math.h>
#include <stdint.h>

/* How one column is made of others: `source` is a column of a record or of raw_units. */
typedef struct {
    int32_t source, kind;
    double parameter;
    int64_t high; /* last entry of the table, largest category, or a second source */
    const int32_t *table;
} Column;

enum { UNUSED, COPIED, TIMES, RATIO, FROM_LEFT, FROM_TOP, LOOKED_UP };
enum { CAPPED = 10, ROOT, WHOLE_QUOTIENT, MINED, FLAG };
enum { RAW_QUOTIENT = 20, FIELD_QUOTIENT, SHARE, MAP_POSITION };

static int64_t clip(int64_t number, int64_t high) {
    return number < 0 ? 0 : number > high ? high : number;
}

/* Rows are filled in blocks that stay in the cache, column by column: what kind a column is is asked once a block. */
enum { BLOCK = 16 };

static int64_t block_size(int64_t rows, int64_t first) {
    return rows - first < BLOCK ? rows - first : BLOCK;
}

#define EACH(to, step, expression) \
    for (int64_t row = 0; row < count; row++) (to)[row * (step)] = (expression); \
    break

/* Fills one column of raw_units from records of `num_fields`; unused columns become 0. */
static void raw_column(const Column *column, const double *records, int64_t num_fields, int64_t count,
                       double map_height, int64_t num_columns, int64_t *raw) {
    const double *from = records + column->source;
    int64_t high = column->high;
    double parameter = column->parameter;
#define NUMBER from[row * num_fields]
#define MOST records[row * num_fields + high]
    switch (column->kind) {
        case COPIED: EACH(raw, num_columns, (int64_t)NUMBER);
        case TIMES: EACH(raw, num_columns, (int64_t)(NUMBER * parameter));
        case RATIO: EACH(raw, num_columns, MOST > 0 ? (int64_t)(NUMBER / MOST * 255) : 0);
        case FROM_LEFT: EACH(raw, num_columns, (int64_t)floor(NUMBER * parameter));
        case FROM_TOP: EACH(raw, num_columns, (int64_t)floor((map_height - NUMBER) * parameter));
        case LOOKED_UP: EACH(raw, num_columns, column->table[clip((int64_t)NUMBER, high)]);
        default: EACH(raw, num_columns, 0);
    }
#undef NUMBER
#undef MOST
}

/* Fills raw [rows][num_columns] from records [rows][num_fields] and their tags [rows][num_tags]: the unit's own, then
 * that of its add-on, whose type is that of the last unit with this tag. */
void perceiver_star_raw_units(const double *records, int64_t num_fields, const int64_t *tags, int64_t num_tags,
                              int64_t rows, int64_t num_units, const Column *columns, int64_t num_columns,
                              int64_t tag_column, int64_t type_column, int64_t addon_column, double map_height,
                              int64_t *raw) {
    for (int64_t first = 0; first < rows; first += BLOCK)
        for (int64_t index = 0; index < num_columns; index++)
            raw_column(columns + index, records + first * num_fields, num_fields, block_size(rows, first), map_height,
                       num_columns, raw + first * num_columns + index);
    for (int64_t row = 0; row < rows; row++) {
        int64_t tag = tags[row * num_tags + 1], other = tag != 0 ? num_units - 1 : -1;
        while (other >= 0 && tags[other * num_tags] != tag) other--;
        raw[row * num_columns + tag_column] = tags[row * num_tags];
        raw[row * num_columns + addon_column] = other >= 0 ? raw[other * num_columns + type_column] : 0;
    }
}

static int64_t bounded(int64_t number, int64_t bound) {
    return number < -bound ? -bound : number > bound ? bound : number;
}

/* How candidates are sorted: their group by alliance, that of effects, and which groups are sorted by distance where all
 * candidates find a slot, and where they do not. */
typedef struct {
    int64_t alliance, x, y, highest_alliance, effect_group, farthest; /* the first three are columns */
    double beyond;
    const int64_t *group_of_alliance;
    const int8_t *by_distance, *by_distance_in_a_crowd;
} Sorting;

/* Fills keys [rows], by which rows are sorted into `slots`: their group, then the squared distance to the nearest row of
 * group 0 where the group is sorted by it. `effects` is null where there are none; `scratch` has 3 numbers a row. */
void perceiver_star_order_keys(const Sorting *sorting, const int64_t *raw, int64_t num_columns, const int64_t *effects,
                               int64_t rows, int64_t slots, int64_t *scratch, double *keys) {
    int64_t num_own = 0, *groups = scratch, *own_x = scratch + rows, *own_y = scratch + 2 * rows;
    const int8_t *by_distance = rows > slots ? sorting->by_distance_in_a_crowd : sorting->by_distance;
    for (int64_t row = 0; row < rows; row++) {
        int64_t alliance = clip(raw[row * num_columns + sorting->alliance], sorting->highest_alliance);
        groups[row] = effects && effects[row] > 0 ? sorting->effect_group : sorting->group_of_alliance[alliance];
        if (groups[row] != 0) continue;
        own_x[num_own] = bounded(raw[row * num_columns + sorting->x], sorting->farthest);
        own_y[num_own++] = bounded(raw[row * num_columns + sorting->y], sorting->farthest);
    }
    for (int64_t row = 0; row < rows; row++) {
        int64_t nearest = num_own && by_distance[groups[row]] ? INT64_MAX : 0;
        if (nearest) {
            int64_t row_x = bounded(raw[row * num_columns + sorting->x], sorting->farthest);
            int64_t row_y = bounded(raw[row * num_columns + sorting->y], sorting->farthest);
            for (int64_t own = 0; own < num_own; own++) {
                int64_t along = row_x - own_x[own], across = row_y - own_y[own];
                int64_t distance = along * along + across * across;
                nearest = distance < nearest ? distance : nearest;
            }
        }
        keys[row] = (double)groups[row] * sorting->beyond + (double)nearest;
    }
}

static int64_t positive(int64_t number) {
    return number > 0 ? number : 0;
}

static int32_t mined(int64_t contents, double full) {
    int64_t taken = contents > 0 ? positive((int64_t)full - contents) : 0;
    return (int32_t)sqrt((double)taken);
}

/* Fills one category of slots whose rows of raw_units and records these are. */
static void category(const Column *column, const int64_t *const *raw, const double *const *records, int64_t count,
                     int64_t step, int32_t *to) {
    int64_t source = column->source, high = column->high;
#define NUMBER raw[row][source]
    switch (column->kind) {
        case CAPPED: EACH(to, step, (int32_t)clip(NUMBER, high));
        case ROOT: EACH(to, step, (int32_t)clip((int64_t)sqrt((double)positive(NUMBER)), high));
        case WHOLE_QUOTIENT: EACH(to, step, (int32_t)clip(positive(NUMBER) / (int64_t)column->parameter, high));
        case MINED: EACH(to, step, mined(NUMBER, column->parameter));
        case LOOKED_UP: EACH(to, step, column->table[clip(NUMBER, high)]);
        case FLAG: EACH(to, step, records[row][source] != 0);
        default: EACH(to, step, 0);
    }
}

/* Fills one real value of slots whose rows of raw_units and records these are. */
static void real_value(const Column *column, const int64_t *const *raw, const double *const *records, int64_t count,
                       int64_t step, float *to) {
    int64_t source = column->source, high = column->high;
    double parameter = column->parameter;
    switch (column->kind) {
        case RAW_QUOTIENT: EACH(to, step, (float)((double)NUMBER / parameter));
        case FIELD_QUOTIENT: EACH(to, step, (float)(records[row][source] / parameter));
        case SHARE: EACH(to, step, (float)((double)NUMBER / (double)(raw[row][high] > 1 ? raw[row][high] : 1)));
        case MAP_POSITION: EACH(to, step, (float)((double)clip(NUMBER, high) * parameter - 1));
        default: EACH(to, step, 0);
    }
#undef NUMBER
}

typedef struct {
    int64_t num_raw, num_fields, num_categories, num_values, num_attributes, first_effect_type, last_x, last_y;
    int64_t unit_type, alliance, display_type, x, y, tag, is_in_cargo, build_progress, is_flying; /* columns */
    int64_t own, highest_alliance, placeholder, unfinished_class, last_unit_type;
    const Column *categories, *values;
    const int32_t *type_indices, *selection_classes, *target_classes; /* by the game's id; the last one's is unknown */
    const int8_t *attributes;                                       /* by type index */
} Entities;

/* Fills a slot but for the columns that tables describe; the last two categories tell which units were `selected` and
 * which was the `target`. */
static void other_columns(const Entities *about, const int64_t *raw, const double *record, int64_t effect,
                          const int64_t *selected, int64_t num_selected, int64_t target, int32_t *categories,
                          float *attribute_values, int32_t *position, int32_t *classes) {
    int64_t type = clip(raw[about->unit_type], about->last_unit_type), tag = raw[about->tag];
    int64_t alliance = raw[about->alliance], flying = record[about->is_flying] > 0, was_selected = 0;
    const int8_t *attributes = about->attributes + about->type_indices[type] * about->num_attributes;
    for (int64_t index = 0; index < about->num_attributes; index++) attribute_values[index] = attributes[index];
    if (effect > 0) categories[0] = (int32_t)(about->first_effect_type - 1 + effect);
    for (int64_t index = 0; index < num_selected; index++) was_selected |= selected[index] == tag;
    categories[about->num_categories - 2] = tag != 0 && was_selected;
    categories[about->num_categories - 1] = tag != 0 && target == tag;
    position[0] = (int32_t)clip(raw[about->x], about->last_x);
    position[1] = (int32_t)clip(raw[about->y], about->last_y);
    int is_target = tag != 0 && raw[about->is_in_cargo] == 0;
    int is_selectable = is_target && alliance == about->own && raw[about->display_type] != about->placeholder;
    int64_t kind = clip(alliance, about->highest_alliance) * 2 + flying;
    int64_t finished = !(record[about->build_progress] < 1);
    int64_t selection = finished ? about->selection_classes[type] : about->unfinished_class;
    classes[0] = is_selectable ? (int32_t)selection : 0;
    classes[1] = is_target ? about->target_classes[kind * (about->last_unit_type + 1) + type] : 0;
}

/* Fills the slots of an observation from the rows of raw_units and records that `order` names; `effects` is null where
 * there are none. */
void perceiver_star_entities(const Entities *about, const int64_t *raw_units, const double *records,
                             const int64_t *effects, const int64_t *order, int64_t slots, const int64_t *selected,
                             int64_t num_selected, int64_t target, int32_t *categories, float *values,
                             int32_t *positions, int32_t *classes, int64_t *tags) {
    int64_t num_categories = about->num_categories, width = about->num_values + about->num_attributes;
    for (int64_t first = 0; first < slots; first += BLOCK) {
        const int64_t *raw[BLOCK];
        const double *record[BLOCK];
        int64_t count = block_size(slots, first);
        int32_t *block_categories = categories + first * num_categories;
        float *block_values = values + first * width;
        for (int64_t row = 0; row < count; row++) {
            raw[row] = raw_units + order[first + row] * about->num_raw;
            record[row] = records + order[first + row] * about->num_fields;
            tags[first + row] = raw[row][about->tag];
        }
        for (int64_t index = 0; index < num_categories; index++)
            category(about->categories + index, raw, record, count, num_categories, block_categories + index);
        for (int64_t index = 0; index < about->num_values; index++)
            real_value(about->values + index, raw, record, count, width, block_values + index);
        for (int64_t row = 0; row < count; row++)
            other_columns(about, raw[row], record[row], effects ? effects[order[first + row]] : 0, selected, num_selected, target,
                          block_categories + row * num_categories, block_values + row * width + about->num_values,
                          positions + 2 * (first + row), classes + 2 * (first + row));
    }
}
