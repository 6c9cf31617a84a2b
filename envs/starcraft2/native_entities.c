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

/* Fills raw [rows][num_columns] from records [rows][num_fields]; unused columns become 0. */
void perceiver_star_raw_units(const double *values, int64_t num_fields, int64_t rows, const Column *columns,
                              int64_t num_columns, double map_height, int64_t *raw) {
    for (int64_t row = 0; row < rows; row++, values += num_fields, raw += num_columns) {
        for (int64_t index = 0; index < num_columns; index++) {
            const Column *column = columns + index;
            double number = values[column->source], most = 0;
            switch (column->kind) {
                case COPIED: raw[index] = (int64_t)number; break;
                case TIMES: raw[index] = (int64_t)(number * column->parameter); break;
                case RATIO:
                    most = values[column->high];
                    raw[index] = most > 0 ? (int64_t)(number / most * 255) : 0;
                    break;
                case FROM_LEFT: raw[index] = (int64_t)floor(number * column->parameter); break;
                case FROM_TOP: raw[index] = (int64_t)floor((map_height - number) * column->parameter); break;
                case LOOKED_UP: raw[index] = column->table[clip((int64_t)number, column->high)]; break;
                default: raw[index] = 0;
            }
        }
    }
}

/* Fills each unit's add-on in column `addon` of raw [rows][num_columns]: the type of the last unit of that tag. */
void perceiver_star_addons(int64_t *raw, int64_t num_columns, int64_t unit_type, int64_t addon, const int64_t *tags,
                           int64_t num_tags, int64_t rows, int64_t num_units) {
    for (int64_t row = 0; row < rows; row++) {
        int64_t tag = tags[row * num_tags + 1], other = tag != 0 ? num_units - 1 : -1;
        while (other >= 0 && tags[other * num_tags] != tag) other--;
        raw[row * num_columns + addon] = other >= 0 ? raw[other * num_columns + unit_type] : 0;
    }
}

static int64_t bounded(int64_t number, int64_t bound) {
    return number < -bound ? -bound : number > bound ? bound : number;
}

/* Fills keys [rows], by which rows are sorted: their group, then the squared distance to the nearest row of group 0
 * where `by_distance` says that the group is ordered so. `scratch` has room for 2 numbers a row. */
void perceiver_star_order_keys(const int64_t *raw, int64_t num_columns, int64_t x, int64_t y, const int64_t *groups,
                               const int8_t *by_distance, int64_t rows, int64_t farthest, double beyond,
                               int64_t *scratch, double *keys) {
    int64_t num_own = 0, *own_x = scratch, *own_y = scratch + rows;
    for (int64_t row = 0; row < rows; row++) {
        if (groups[row] != 0) continue;
        own_x[num_own] = bounded(raw[row * num_columns + x], farthest);
        own_y[num_own++] = bounded(raw[row * num_columns + y], farthest);
    }
    for (int64_t row = 0; row < rows; row++) {
        int64_t nearest = num_own && by_distance[groups[row]] ? INT64_MAX : 0;
        if (nearest) {
            int64_t row_x = bounded(raw[row * num_columns + x], farthest);
            int64_t row_y = bounded(raw[row * num_columns + y], farthest);
            for (int64_t own = 0; own < num_own; own++) {
                int64_t along = row_x - own_x[own], across = row_y - own_y[own];
                int64_t distance = along * along + across * across;
                nearest = distance < nearest ? distance : nearest;
            }
        }
        keys[row] = (double)groups[row] * beyond + (double)nearest;
    }
}

static int32_t category(const Column *column, const int64_t *raw, const double *values) {
    int64_t number = raw[column->source], least = number > 0 ? number : 0;
    switch (column->kind) {
        case CAPPED: return (int32_t)clip(number, column->high);
        case ROOT: return (int32_t)clip((int64_t)sqrt((double)least), column->high);
        case WHOLE_QUOTIENT: return (int32_t)clip(least / (int64_t)column->parameter, column->high);
        case MINED: least = number > 0 ? (int64_t)column->parameter - number : 0;
            return least > 0 ? (int32_t)sqrt((double)least) : 0;
        case LOOKED_UP: return column->table[clip(number, column->high)];
        case FLAG: return values[column->source] != 0;
        default: return 0;
    }
}

static float real_value(const Column *column, const int64_t *raw, const double *values) {
    switch (column->kind) {
        case RAW_QUOTIENT: return (float)((double)raw[column->source] / column->parameter);
        case FIELD_QUOTIENT: return (float)(values[column->source] / column->parameter);
        case SHARE: return (float)((double)raw[column->source] / (double)(raw[column->high] > 1 ? raw[column->high] : 1));
        case MAP_POSITION: return (float)((double)clip(raw[column->source], column->high) * column->parameter - 1);
        default: return 0;
    }
}

typedef struct {
    int64_t num_raw, num_fields, num_categories, num_values, num_attributes, first_effect_type, last_x, last_y;
    int64_t unit_type, alliance, display_type, x, y, tag, is_in_cargo, build_progress, is_flying; /* columns */
    int64_t own, highest_alliance, placeholder, unfinished_class, last_unit_type;
    const Column *categories, *values;
    const int32_t *type_indices, *selection_classes, *target_classes; /* by the game's id; the last one's is unknown */
    const int8_t *attributes;                                       /* by type index */
} Entities;

/* Fills the slots of an observation from the rows of raw_units and records that `order` names; the last two categories
 * tell which units were `selected` and which was the `target`. */
void perceiver_star_entities(const Entities *about, const int64_t *raw_units, const double *records,
                             const int64_t *effects, const int64_t *order, int64_t slots, const int64_t *selected,
                             int64_t num_selected, int64_t target, int32_t *categories, float *values,
                             int32_t *positions, int32_t *classes, int64_t *tags) {
    for (int64_t slot = 0; slot < slots; slot++) {
        const int64_t *raw = raw_units + order[slot] * about->num_raw;
        const double *record = records + order[slot] * about->num_fields;
        int64_t effect = effects[order[slot]], type = clip(raw[about->unit_type], about->last_unit_type);
        int64_t alliance = raw[about->alliance], flying = record[about->is_flying] > 0;
        for (int64_t index = 0; index < about->num_categories; index++)
            categories[index] = category(about->categories + index, raw, record);
        if (effect > 0) categories[0] = (int32_t)(about->first_effect_type - 1 + effect);
        for (int64_t index = 0; index < about->num_values; index++)
            values[index] = real_value(about->values + index, raw, record);
        const int8_t *attributes = about->attributes + about->type_indices[type] * about->num_attributes;
        for (int64_t index = 0; index < about->num_attributes; index++)
            values[about->num_values + index] = attributes[index];
        positions[0] = (int32_t)clip(raw[about->x], about->last_x);
        positions[1] = (int32_t)clip(raw[about->y], about->last_y);
        int is_target = raw[about->tag] != 0 && raw[about->is_in_cargo] == 0;
        int is_selectable = is_target && alliance == about->own && raw[about->display_type] != about->placeholder;
        int64_t kind = clip(alliance, about->highest_alliance) * 2 + flying;
        int64_t finished = !(record[about->build_progress] < 1);
        int64_t selection = finished ? about->selection_classes[type] : about->unfinished_class;
        classes[0] = is_selectable ? (int32_t)selection : 0;
        classes[1] = is_target ? about->target_classes[kind * (about->last_unit_type + 1) + type] : 0;
        tags[slot] = raw[about->tag];
        int64_t was_selected = 0;
        for (int64_t index = 0; index < num_selected; index++) was_selected |= selected[index] == tags[slot];
        categories[about->num_categories - 2] = tags[slot] != 0 && was_selected;
        categories[about->num_categories - 1] = tags[slot] != 0 && target == tags[slot];
        categories += about->num_categories;
        values += about->num_values + about->num_attributes;
        positions += 2;
        classes += 2;
    }
}
