package perceiverstar;

import ai.core.AI;
import ai.core.AIWithComputationBudget;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Modifier;
import rts.units.UnitTypeTable;

/**
 * Makes an AI of one class afresh for each episode.
 *
 * The game's own clients clone one object instead, which a third of the AIs do not survive: their clones lack settings.
 */
public final class AiFactory {
    private final Constructor<?> constructor;
    private final UnitTypeTable unitTypes;
    private final Budget budget;

    /**
     * Where iterations are counted: not without a clock, as some AIs count none and would think for ever; and so long that a
     * busy machine does not end a search that counts.
     */
    private static final int LONGEST_MILLISECONDS = 10_000;

    /** How long an AI may think at a step: for so many milliseconds, and so many iterations of its search; -1: as it is. */
    private record Budget(int milliseconds, int iterations) {}

    /**
     * @throws IllegalArgumentException if the class is no AI, or needs more than the unit types to be made
     */
    public AiFactory(String className, UnitTypeTable unitTypes) throws ReflectiveOperationException {
        // Without initialisation: some classes of the game open windows or sockets when they are initialised.
        Class<?> type = Class.forName(className, false, AiFactory.class.getClassLoader());
        if (!AI.class.isAssignableFrom(type) || Modifier.isAbstract(type.getModifiers())) {
            throw new IllegalArgumentException(className + " is not an AI");
        }
        Constructor<?> found = null;
        for (Constructor<?> candidate : type.getConstructors()) {
            Class<?>[] parameters = candidate.getParameterTypes();
            if (parameters.length == 1 && parameters[0] == UnitTypeTable.class) {
                found = candidate;
                break;
            }
            if (parameters.length == 0) {
                found = candidate;
            }
        }
        if (found == null) {
            throw new IllegalArgumentException(className + " needs more than the unit types to be made");
        }
        this.constructor = found;
        this.unitTypes = unitTypes;
        this.budget = null;
    }

    private AiFactory(AiFactory other, Budget budget) {
        this.constructor = other.constructor;
        this.unitTypes = other.unitTypes;
        this.budget = budget;
    }

    /** Returns whether the AI thinks within a budget: scripted ones have none, or one without limits that they never read. */
    public boolean searches() throws Exception {
        AI ai = make();
        return ai instanceof AIWithComputationBudget
            && (((AIWithComputationBudget) ai).getTimeBudget() > 0 || ((AIWithComputationBudget) ai).getIterationsBudget() > 0);
    }

    /** Returns what makes the same AI with another budget for each step; -1 leaves milliseconds or iterations as they are. */
    public AiFactory withBudget(int milliseconds, int iterations) {
        return new AiFactory(this, new Budget(milliseconds, iterations));
    }

    /** Makes an AI, ready for its first step. */
    public AI make() throws Exception {
        try {
            AI ai = (AI) (constructor.getParameterCount() == 0 ? constructor.newInstance() : constructor.newInstance(unitTypes));
            if (budget != null) {
                AIWithComputationBudget thinker = (AIWithComputationBudget) ai;
                if (budget.milliseconds() >= 0) {
                    thinker.setTimeBudget(budget.milliseconds());
                }
                if (budget.iterations() >= 0) {
                    thinker.setIterationsBudget(budget.iterations());
                    thinker.setTimeBudget(LONGEST_MILLISECONDS);
                }
            }
            ai.reset();
            return ai;
        } catch (InvocationTargetException error) {
            if (error.getCause() instanceof Exception) {
                throw (Exception) error.getCause();
            }
            throw error;
        }
    }
}
