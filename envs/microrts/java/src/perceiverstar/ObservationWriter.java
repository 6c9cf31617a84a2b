package perceiverstar;

import java.util.Arrays;
import rts.GameState;
import rts.PhysicalGameState;
import rts.UnitAction;
import rts.UnitActionAssignment;
import rts.units.Unit;
import rts.units.UnitType;

/** Writes what the player of a row sees into the batch's buffers, in the form that the agent reads. */
final class ObservationWriter {
    private final Buffers buffers;
    private final Row row;
    private final int maxEntities;
    private final int[] categories;
    private final float[] values;
    private final int[] positions;
    private final byte[] entityMask;
    private final float[] scalars = new float[Layout.SCALARS];
    private int usedBefore;
    private int claimed;

    ObservationWriter(Buffers buffers, Row row, int maxEntities) {
        this.buffers = buffers;
        this.row = row;
        this.maxEntities = maxEntities;
        this.categories = new int[maxEntities * Layout.CATEGORIES];
        this.values = new float[maxEntities * Layout.VALUES];
        this.positions = new int[maxEntities * 2];
        this.entityMask = new byte[maxEntities];
    }

    /** Writes the current state; slots beyond the ones in use are zero. */
    void write() {
        row.refresh();
        writeRefreshed();
    }

    /** Writes the current state of a row that was refreshed in it. */
    void writeRefreshed() {
        Arrays.fill(scalars, 0f);
        claimed = 0;
        PhysicalGameState map = row.game.state().getPhysicalGameState();
        for (int slot = 0; slot < row.used; slot++) {
            writeEntity(slot, row.slots[slot], map);
        }
        for (Unit unit : row.game.units()) {
            count(unit);
        }
        writeScalars(row.game.state());
        // Slots that were in use before and are not now become zero.
        int dirty = Math.max(row.used, usedBefore);
        Arrays.fill(categories, row.used * Layout.CATEGORIES, dirty * Layout.CATEGORIES, 0);
        Arrays.fill(values, row.used * Layout.VALUES, dirty * Layout.VALUES, 0f);
        Arrays.fill(positions, row.used * 2, dirty * 2, 0);
        Arrays.fill(entityMask, 0, row.used, (byte) 1);
        Arrays.fill(entityMask, row.used, dirty, (byte) 0);
        usedBefore = row.used;
        copy(dirty);
    }

    private void copy(int dirty) {
        int slots = row.index * maxEntities;
        buffers.entityCategories.put(slots * Layout.CATEGORIES, categories, 0, dirty * Layout.CATEGORIES);
        buffers.entityValues.put(slots * Layout.VALUES, values, 0, dirty * Layout.VALUES);
        buffers.entityPositions.put(slots * 2, positions, 0, dirty * 2);
        buffers.entityMask.put(slots, entityMask, 0, dirty);
        buffers.actionMask.put(slots * Layout.MASK_SIZE, row.actionMask, 0, dirty * Layout.MASK_SIZE);
        buffers.scalars.put(row.index * Layout.SCALARS, scalars, 0, Layout.SCALARS);
    }

    private void writeEntity(int slot, Unit unit, PhysicalGameState map) {
        int category = slot * Layout.CATEGORIES;
        int value = slot * Layout.VALUES;
        int x = row.rotated ? map.getWidth() - 1 - unit.getX() : unit.getX();
        int y = row.rotated ? map.getHeight() - 1 - unit.getY() : unit.getY();
        categories[category + Layout.UNIT_TYPE] = unit.getType().ID;
        categories[category + Layout.OWNER] = owner(unit);
        categories[category + Layout.AWAITS_ORDER] = row.waiting[slot] ? 1 : 0;
        categories[category + Layout.HIT_POINTS] = Math.max(0, Math.min(Layout.COUNT_LIMIT, unit.getHitPoints()));
        categories[category + Layout.RESOURCES] = Math.max(0, Math.min(Layout.COUNT_LIMIT, unit.getResources()));
        values[value + Layout.HIT_POINT_FRACTION] = unit.getHitPoints() / (float) Math.max(1, unit.getMaxHitPoints());
        values[value + Layout.HIT_POINT_VALUE] = unit.getHitPoints() / 10f;
        values[value + Layout.RESOURCE_VALUE] = unit.getResources() / 10f;
        values[value + Layout.MAP_X] = centred(x, map.getWidth());
        values[value + Layout.MAP_Y] = centred(y, map.getHeight());
        positions[slot * 2] = x;
        positions[slot * 2 + 1] = y;
        writeNearestEnemy(value, unit);
        writeAction(category, value, unit, row.shownAssignment(unit));
    }

    /** Writes the way to the nearest unit of the other player, in moves; zero for resources and where there is none. */
    private void writeNearestEnemy(int value, Unit unit) {
        int sign = row.rotated ? -1 : 1;
        int nearestX = 0;
        int nearestY = 0;
        int nearest = Integer.MAX_VALUE;
        if (unit.getPlayer() >= 0) {
            for (Unit other : row.game.units()) {
                if (other.getPlayer() != 1 - unit.getPlayer()) {
                    continue;
                }
                int x = sign * (other.getX() - unit.getX());
                int y = sign * (other.getY() - unit.getY());
                int distance = Math.abs(x) + Math.abs(y);
                // Of several, the one that comes first row by row, as the row sees the map.
                if (distance < nearest || distance == nearest && (y < nearestY || y == nearestY && x < nearestX)) {
                    nearest = distance;
                    nearestX = x;
                    nearestY = y;
                }
            }
        }
        values[value + Layout.NEAREST_ENEMY_X] = nearestX / Layout.DISTANCE_UNIT;
        values[value + Layout.NEAREST_ENEMY_Y] = nearestY / Layout.DISTANCE_UNIT;
    }

    /** Maps 0 .. size - 1 to -1 .. 1. */
    private static float centred(int coordinate, int size) {
        return size == 1 ? 0f : 2f * coordinate / (size - 1) - 1f;
    }

    private int owner(Unit unit) {
        if (unit.getPlayer() < 0) {
            return Layout.NEUTRAL;
        }
        return unit.getPlayer() == row.player ? Layout.OWN : Layout.ENEMY;
    }

    private void writeAction(int category, int value, Unit unit, UnitActionAssignment assignment) {
        int type = 0;
        int direction = 0;
        int produced = 0;
        float left = 0f;
        float fraction = 0f;
        float targetX = 0f;
        float targetY = 0f;
        if (assignment != null) {
            UnitAction action = assignment.action;
            type = 1 + action.getType();
            int duration = Math.max(1, action.ETA(unit));
            left = Math.max(0, assignment.time + duration - row.game.time());
            fraction = left / duration;
            if (action.getType() == UnitAction.TYPE_ATTACK_LOCATION) {
                float sign = row.rotated ? -1f : 1f;
                targetX = sign * (action.getLocationX() - unit.getX()) / (Layout.ATTACK_SIDE / 2);
                targetY = sign * (action.getLocationY() - unit.getY()) / (Layout.ATTACK_SIDE / 2);
            } else if (action.getType() != UnitAction.TYPE_NONE && action.getDirection() >= 0) {
                direction = 1 + row.turn(action.getDirection());
            }
            if (action.getUnitType() != null) {
                produced = 1 + action.getUnitType().ID;
            }
        }
        categories[category + Layout.CURRENT_ACTION] = type;
        categories[category + Layout.ACTION_DIRECTION] = direction;
        categories[category + Layout.PRODUCED_TYPE] = produced;
        values[value + Layout.TIME_LEFT] = Math.min(left / 10f, Layout.TIME_LEFT_LIMIT);
        values[value + Layout.TIME_LEFT_FRACTION] = fraction;
        values[value + Layout.TARGET_X] = targetX;
        values[value + Layout.TARGET_Y] = targetY;
    }

    private void count(Unit unit) {
        UnitType type = unit.getType();
        if (unit.getPlayer() < 0) {
            scalars[Layout.RESOURCES_LEFT] += unit.getResources() / 100f;
        } else if (!type.isResource) {
            boolean own = unit.getPlayer() == row.player;
            scalars[(own ? Layout.OWN_COUNTS : Layout.ENEMY_COUNTS) + type.ID - 1] += 0.1f;
            UnitAction action = own ? row.game.state().getUnitAction(unit) : null;
            if (action != null && action.getType() == UnitAction.TYPE_PRODUCE) {
                claimed += action.getUnitType().cost; // paid when the unit is finished
            }
        }
    }

    private void writeScalars(GameState state) {
        int own = state.getPlayer(row.player).getResources();
        int enemy = state.getPlayer(1 - row.player).getResources();
        scalars[Layout.TIME_FRACTION] = Math.min(1f, row.game.time() / (float) row.game.maxSteps());
        scalars[Layout.OWN_STOCK] = own / 10f;
        scalars[Layout.ENEMY_STOCK] = enemy / 10f;
        scalars[Layout.OWN_UNCOMMITTED] = (own - claimed) / 10f;
        for (int k = 0; k < Layout.THRESHOLDS.length; k++) {
            scalars[Layout.OWN_THRESHOLDS + k] = own >= Layout.THRESHOLDS[k] ? 1f : 0f;
            scalars[Layout.ENEMY_THRESHOLDS + k] = enemy >= Layout.THRESHOLDS[k] ? 1f : 0f;
        }
    }

    /** Writes the walls, which never change. */
    void writePlanes() {
        PhysicalGameState map = row.game.state().getPhysicalGameState();
        int width = map.getWidth();
        int height = map.getHeight();
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                int mapX = row.rotated ? width - 1 - x : x;
                int mapY = row.rotated ? height - 1 - y : y;
                byte wall = (byte) (map.getTerrain(mapX, mapY) == PhysicalGameState.TERRAIN_WALL ? 1 : 0);
                buffers.planes.put((row.index * height + y) * width + x, wall);
            }
        }
    }
}
