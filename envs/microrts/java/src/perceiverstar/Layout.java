package perceiverstar;

/** Sizes and column indices of the observation and of a unit's action; envs/microrts/layout.py names each of them. */
public final class Layout {
    public static final int ACTION_TYPES = 6;
    public static final int DIRECTIONS = 4;
    public static final int UNIT_TYPES = 7;
    /** Attack targets lie in a square of this many cells a side, the attacker in its centre. */
    public static final int ATTACK_SIDE = 7;
    public static final int ATTACK_TARGETS = ATTACK_SIDE * ATTACK_SIDE;

    // Columns of a unit's action.
    public static final int TYPE = 0;
    public static final int MOVE = 1;
    public static final int HARVEST = 2;
    public static final int RETURN = 3;
    public static final int PRODUCE_DIRECTION = 4;
    public static final int PRODUCE_TYPE = 5;
    public static final int ATTACK = 6;
    public static final int ACTION_COMPONENTS = 7;

    /** Where each component's choices begin in a unit's action mask; the last entry is the mask's length. */
    public static final int[] MASK_OFFSETS = {0, 6, 10, 14, 18, 22, 29, 78};
    public static final int MASK_SIZE = 78;

    // Columns of entity_categories.
    public static final int UNIT_TYPE = 0;
    public static final int OWNER = 1;
    public static final int CURRENT_ACTION = 2;
    public static final int ACTION_DIRECTION = 3;
    public static final int PRODUCED_TYPE = 4;
    public static final int AWAITS_ORDER = 5;
    public static final int HIT_POINTS = 6;
    public static final int RESOURCES = 7;
    public static final int CATEGORIES = 8;
    /** Hit points and carried resources above this share its category. */
    public static final int COUNT_LIMIT = 15;

    // Columns of entity_values.
    public static final int HIT_POINT_FRACTION = 0;
    public static final int HIT_POINT_VALUE = 1;
    public static final int RESOURCE_VALUE = 2;
    public static final int TIME_LEFT = 3;
    public static final int TIME_LEFT_FRACTION = 4;
    public static final int TARGET_X = 5;
    public static final int TARGET_Y = 6;
    public static final int MAP_X = 7;
    public static final int MAP_Y = 8;
    public static final int NEAREST_ENEMY_X = 9;
    public static final int NEAREST_ENEMY_Y = 10;
    public static final int VALUES = 11;
    /** The way to the nearest enemy is given in units of this many cells. */
    public static final float DISTANCE_UNIT = 8f;
    /** Time left is given in units of 10 game steps (a worker's move) and clipped at this. */
    public static final float TIME_LEFT_LIMIT = 10f;

    // Owners, as the observing player sees them.
    public static final int OWN = 0;
    public static final int ENEMY = 1;
    public static final int NEUTRAL = 2;

    // Columns of scalars: stocks, their thresholds, time, then the unit counts of both sides.
    public static final int TIME_FRACTION = 0;
    public static final int OWN_STOCK = 1;
    public static final int ENEMY_STOCK = 2;
    public static final int OWN_UNCOMMITTED = 3;
    public static final int OWN_THRESHOLDS = 4;
    public static final int[] THRESHOLDS = {1, 2, 3, 5, 10};
    public static final int ENEMY_THRESHOLDS = OWN_THRESHOLDS + THRESHOLDS.length;
    public static final int RESOURCES_LEFT = ENEMY_THRESHOLDS + THRESHOLDS.length;
    /** Base, barracks, worker, light, heavy, ranged: every type but the resource patch. */
    public static final int OWN_COUNTS = RESOURCES_LEFT + 1;
    public static final int ENEMY_COUNTS = OWN_COUNTS + UNIT_TYPES - 1;
    public static final int SCALARS = ENEMY_COUNTS + UNIT_TYPES - 1;

    // Columns of reward_terms.
    public static final int WIN_LOSS = 0;
    public static final int RESOURCE_GATHER = 1;
    public static final int PRODUCE_WORKER = 2;
    public static final int PRODUCE_BUILDING = 3;
    public static final int ATTACK_TERM = 4;
    public static final int PRODUCE_COMBAT_UNIT = 5;
    public static final int REWARD_TERMS = 6;

    private Layout() {}
}
