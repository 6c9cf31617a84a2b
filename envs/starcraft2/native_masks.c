/* Makes the mask of functions from raw_units and the tables of action_masks.py, which says what they mean. */
#include <stdint.h>
#include <string.h>

enum { UNIT, UPGRADE, ORDER, BUSY, LOADED, CARRYING, SELECTION, TARGET, ALWAYS, NUM_KINDS };
enum { NUM_ORDERS = 4, NUM_BUFFS = 2, NUM_MEANS = 3 };

typedef struct {
    int64_t num_functions, num_conditions, num_flags, num_there, num_needed, num_raw;
    int64_t alliance, display_type, unit_type, build_progress, order_length, cargo_space_taken; /* of raw_units */
    int64_t order_columns[NUM_ORDERS], buff_columns[NUM_BUFFS];
    int64_t own, placeholder, finished, first_resource_buff, last_resource_buff;
    int64_t starts[NUM_KINDS], sizes[NUM_KINDS]; /* of each kind's flags; size 0 where no condition asks for it */
    const int64_t *members, *first;              /* flags of all conditions, and where each condition's begin */
    const int64_t *there, *needed;               /* conditions [rows][functions] that must hold */
    const int64_t *barring, *general, *abilities; /* by function */
    const double *price;                         /* [means][functions] */
    const uint8_t *is_variant, *shown;           /* by function */
} Masks;

static void set(const Masks *masks, uint8_t *flags, int kind, int64_t id) {
    int64_t last = masks->sizes[kind] - 1;
    if (last >= 0) flags[masks->starts[kind] + (id < 0 || id > last ? last : id)] = 1;
}

static void set_unit(const Masks *masks, uint8_t *flags, const int64_t *unit) {
    int64_t type = unit[masks->unit_type];
    if (unit[masks->build_progress] >= masks->finished) set(masks, flags, UNIT, type);
    if (unit[masks->order_length] > 0) set(masks, flags, BUSY, type);
    if (unit[masks->cargo_space_taken] > 0) set(masks, flags, LOADED, type);
    for (int index = 0; index < NUM_ORDERS; index++) {
        int64_t function = unit[masks->order_columns[index]];
        if (function > 0 && function < masks->num_functions) set(masks, flags, ORDER, masks->abilities[function]);
    }
    for (int index = 0; index < NUM_BUFFS; index++) {
        int64_t buff = unit[masks->buff_columns[index]];
        if (buff >= masks->first_resource_buff && buff <= masks->last_resource_buff) set(masks, flags, CARRYING, type);
    }
}

static int all_hold(const int64_t *conditions, int64_t rows, int64_t step, const uint8_t *holds) {
    for (int64_t row = 0; row < rows; row++)
        if (!holds[conditions[row * step]]) return 0;
    return 1;
}

static int is_affordable(const Masks *masks, int64_t function, const double *means) {
    for (int index = 0; index < NUM_MEANS; index++)
        if (masks->price[index * masks->num_functions + function] > means[index]) return 0;
    return 1;
}

/* Fills mask [functions]. `scratch` has room for all flags and conditions, and one for each function. */
void perceiver_star_function_mask(const Masks *masks, const int64_t *raw_units, int64_t rows, const int32_t *upgrades,
                                  int64_t num_upgrades, const int32_t *classes, int64_t slots, double minerals,
                                  double vespene, double supply_left, uint8_t *scratch, int8_t *mask) {
    uint8_t *flags = scratch, *holds = flags + masks->num_flags, *there = holds + masks->num_conditions;
    const double means[NUM_MEANS] = {minerals, vespene, supply_left};
    int64_t num_functions = masks->num_functions;
    memset(flags, 0, (size_t)masks->num_flags);
    memset(mask, 0, (size_t)num_functions);
    set(masks, flags, ALWAYS, 0);
    for (int64_t row = 0; row < rows; row++, raw_units += masks->num_raw)
        if (raw_units[masks->alliance] == masks->own && raw_units[masks->display_type] != masks->placeholder)
            set_unit(masks, flags, raw_units);
    for (int64_t index = 0; index < num_upgrades; index++) set(masks, flags, UPGRADE, upgrades[index]);
    for (int64_t slot = 0; slot < slots; slot++) {
        set(masks, flags, SELECTION, classes[2 * slot]);
        set(masks, flags, TARGET, classes[2 * slot + 1]);
    }
    for (int64_t condition = 0; condition < masks->num_conditions; condition++) {
        holds[condition] = 0;
        for (int64_t index = masks->first[condition]; index < masks->first[condition + 1]; index++)
            holds[condition] |= flags[masks->members[index]];
    }
    for (int64_t function = 0; function < num_functions; function++) {
        there[function] = (uint8_t)all_hold(masks->there + function, masks->num_there, num_functions, holds);
        if (!there[function] || !masks->is_variant[function] || !is_affordable(masks, function, means)) continue;
        if (!all_hold(masks->needed + function, masks->num_needed, num_functions, holds)) continue;
        if (holds[masks->barring[function]]) continue;
        mask[function] = mask[masks->general[function]] = 1;
    }
    for (int64_t function = 0; function < num_functions; function++)
        mask[function] = mask[function] && there[function] && masks->shown[function];
}
