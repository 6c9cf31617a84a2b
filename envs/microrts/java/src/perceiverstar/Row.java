package perceiverstar;

import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import rts.GameState;
import rts.PlayerAction;
import rts.UnitAction;
import rts.UnitActionAssignment;
import rts.units.Unit;
import rts.units.UnitTypeTable;

/**
 * One controlled player of one game: an index of the batch.
 *
 * It keeps which unit lies in which entity slot and what that unit may be ordered to do, so that the slots of the next
 * action mean the same units. In the canonical orientation, player 1 sees the map turned by 180 degrees.
 */
final class Row {
    final int index;
    final Game game;
    final int player;
    final boolean rotated;
    private final UnitTypeTable unitTypes;
    private final int maxEntities;

    final Unit[] slots;
    int used;
    /** Whether a slot holds an own unit that awaits an order. */
    final boolean[] waiting;
    /** What each slot's unit may be ordered to do, [maxEntities * MASK_SIZE]; zero where no order is awaited. */
    final byte[] actionMask;
    /** Waits of several steps, which only AIs order: their units are shown as awaiting orders, though none are asked for. */
    final Set<UnitActionAssignment> waits = new HashSet<>();

    Row(int index, Game game, int player, boolean rotated, UnitTypeTable unitTypes, int maxEntities) {
        this.index = index;
        this.game = game;
        this.player = player;
        this.rotated = rotated;
        this.unitTypes = unitTypes;
        this.maxEntities = maxEntities;
        this.slots = new Unit[maxEntities];
        this.waiting = new boolean[maxEntities];
        this.actionMask = new byte[maxEntities * Layout.MASK_SIZE];
    }

    /** Puts the units of the current state into slots and works out what each may do. */
    void refresh() {
        int before = used;
        fillSlots(game.units());
        Arrays.fill(actionMask, 0, Math.max(before, used) * Layout.MASK_SIZE, (byte) 0);
        GameState state = game.state();
        for (int slot = 0; slot < used; slot++) {
            Unit unit = slots[slot];
            waiting[slot] = unit.getPlayer() == player && shownAssignment(unit) == null;
            if (waiting[slot] && state.getActionAssignment(unit) == null) {
                for (UnitAction action : unit.getUnitActions(state)) {
                    allow(slot * Layout.MASK_SIZE, unit, action);
                }
            }
        }
    }

    /** Returns what the player sees a unit do, or null. */
    UnitActionAssignment shownAssignment(Unit unit) {
        UnitActionAssignment assignment = game.state().getActionAssignment(unit);
        return waits.contains(assignment) ? null : assignment;
    }

    private void fillSlots(List<Unit> units) {
        int before = used;
        if (units.size() <= maxEntities) {
            used = 0;
            for (Unit unit : units) {
                slots[used++] = unit;
            }
        } else {
            Unit[] sorted = EntityOrder.mostImportantFirst(units, player);
            System.arraycopy(sorted, 0, slots, 0, maxEntities);
            used = maxEntities;
        }
        for (int slot = used; slot < before; slot++) {
            slots[slot] = null;
            waiting[slot] = false;
        }
    }

    private void allow(int offset, Unit unit, UnitAction action) {
        actionMask[offset + action.getType()] = 1;
        switch (action.getType()) {
            case UnitAction.TYPE_MOVE:
                actionMask[offset + Layout.MASK_OFFSETS[Layout.MOVE] + turn(action.getDirection())] = 1;
                break;
            case UnitAction.TYPE_HARVEST:
                actionMask[offset + Layout.MASK_OFFSETS[Layout.HARVEST] + turn(action.getDirection())] = 1;
                break;
            case UnitAction.TYPE_RETURN:
                actionMask[offset + Layout.MASK_OFFSETS[Layout.RETURN] + turn(action.getDirection())] = 1;
                break;
            case UnitAction.TYPE_PRODUCE:
                actionMask[offset + Layout.MASK_OFFSETS[Layout.PRODUCE_DIRECTION] + turn(action.getDirection())] = 1;
                actionMask[offset + Layout.MASK_OFFSETS[Layout.PRODUCE_TYPE] + action.getUnitType().ID] = 1;
                break;
            case UnitAction.TYPE_ATTACK_LOCATION:
                int x = action.getLocationX() - unit.getX() + Layout.ATTACK_SIDE / 2;
                int y = action.getLocationY() - unit.getY() + Layout.ATTACK_SIDE / 2;
                actionMask[offset + Layout.MASK_OFFSETS[Layout.ATTACK] + turnTarget(y * Layout.ATTACK_SIDE + x)] = 1;
                break;
            default:
                break;
        }
    }

    /** Returns a direction as this row sees it, or back: up, right, down, left. */
    int turn(int direction) {
        return rotated ? (direction + 2) % Layout.DIRECTIONS : direction;
    }

    /** Returns a cell of the square of attack targets as this row sees it, or back. */
    int turnTarget(int target) {
        return rotated ? Layout.ATTACK_TARGETS - 1 - target : target;
    }

    /**
     * Returns whether there is something to decide: a unit that awaits an order and has one, besides waiting, that would
     * be carried out. The legal actions also hold orders that clash with what is claimed already, which are dropped.
     */
    boolean hasChoice() {
        GameState state = game.state();
        Claims claims = null;
        for (Unit unit : game.units()) {
            if (unit.getPlayer() != player || state.getActionAssignment(unit) != null) {
                continue;
            }
            for (UnitAction action : unit.getUnitActions(state)) {
                if (action.getType() == UnitAction.TYPE_NONE) {
                    continue;
                }
                claims = claims == null ? new Claims(state, player) : claims;
                if (claims.allow(action.resourceUsage(unit, state.getPhysicalGameState()))) {
                    return true;
                }
            }
        }
        return false;
    }

    /**
     * Returns the first component of a slot's action that the mask forbids, or -1.
     *
     * @param action the whole action of this row, [maxEntities * ACTION_COMPONENTS]
     */
    int illegalComponent(int slot, long[] action) {
        int offset = slot * Layout.ACTION_COMPONENTS;
        if (forbidden(slot, Layout.TYPE, action[offset])) {
            return Layout.TYPE;
        }
        switch ((int) action[offset]) {
            case UnitAction.TYPE_MOVE:
                return firstForbidden(slot, Layout.MOVE, Layout.MOVE, action);
            case UnitAction.TYPE_HARVEST:
                return firstForbidden(slot, Layout.HARVEST, Layout.HARVEST, action);
            case UnitAction.TYPE_RETURN:
                return firstForbidden(slot, Layout.RETURN, Layout.RETURN, action);
            case UnitAction.TYPE_PRODUCE:
                return firstForbidden(slot, Layout.PRODUCE_DIRECTION, Layout.PRODUCE_TYPE, action);
            case UnitAction.TYPE_ATTACK_LOCATION:
                return firstForbidden(slot, Layout.ATTACK, Layout.ATTACK, action);
            default:
                return -1;
        }
    }

    private int firstForbidden(int slot, int first, int last, long[] action) {
        for (int component = first; component <= last; component++) {
            if (forbidden(slot, component, action[slot * Layout.ACTION_COMPONENTS + component])) {
                return component;
            }
        }
        return -1;
    }

    private boolean forbidden(int slot, int component, long choice) {
        int first = Layout.MASK_OFFSETS[component];
        if (choice < 0 || choice >= Layout.MASK_OFFSETS[component + 1] - first) {
            return true;
        }
        return actionMask[slot * Layout.MASK_SIZE + first + (int) choice] == 0;
    }

    /**
     * Returns the orders that an action gives to the waiting units.
     *
     * As in the game's own client, an order that clashes with the ones before it (two units into one cell, more spent than
     * there is) is dropped, and the unit waits for one step.
     */
    PlayerAction orders(long[] action) {
        GameState state = game.state();
        PlayerAction orders = new PlayerAction();
        Claims claims = null;
        for (int slot = 0; slot < used; slot++) {
            if (!waiting[slot] || action[slot * Layout.ACTION_COMPONENTS] == UnitAction.TYPE_NONE) {
                continue;
            }
            Unit unit = slots[slot];
            UnitAction order = order(unit, slot * Layout.ACTION_COMPONENTS, action);
            if (order.getType() == UnitAction.TYPE_MOVE || order.getType() == UnitAction.TYPE_PRODUCE) {
                // Only these claim anything.
                claims = claims == null ? new Claims(state, player) : claims;
                if (!claims.add(order.resourceUsage(unit, state.getPhysicalGameState()))) {
                    continue;
                }
            }
            orders.addUnitAction(unit, order);
        }
        return orders;
    }

    private UnitAction order(Unit unit, int offset, long[] action) {
        int type = (int) action[offset];
        switch (type) {
            case UnitAction.TYPE_PRODUCE:
                return new UnitAction(type, turn((int) action[offset + Layout.PRODUCE_DIRECTION]),
                        unitTypes.getUnitType((int) action[offset + Layout.PRODUCE_TYPE]));
            case UnitAction.TYPE_ATTACK_LOCATION:
                int target = turnTarget((int) action[offset + Layout.ATTACK]);
                return new UnitAction(type, unit.getX() + target % Layout.ATTACK_SIDE - Layout.ATTACK_SIDE / 2,
                        unit.getY() + target / Layout.ATTACK_SIDE - Layout.ATTACK_SIDE / 2);
            default:
                // Move, harvest and return: their columns follow the order of the types.
                return new UnitAction(type, turn((int) action[offset + type]));
        }
    }
}
