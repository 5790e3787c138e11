/**
 * An ESLint rule: what clients, origins, peers and timers make happen runs behind the guard of src/net/guard.ts, since Node.js gives a throw inside
 * an event to nobody but the process. Allowed are `guarded(…)`, a call of a function of the same file that gives nothing else, a function that is
 * nothing but `attempt(…)`, a name that stands for one of them in the same file, and what cannot throw: nothing at all, setting a field, ending a socket, a timer or a promise.
 */
const LISTENING = new Set(['on', 'once', 'addListener', 'prependListener', 'prependOnceListener'])
const GUARDS = new Set(['guarded', 'attempt'])
const HARMLESS_CALLS = new Set(['clearTimeout', 'resolve', 'reject'])
const HARMLESS_METHODS = new Set(['destroy', 'delete', 'resume', 'pause', 'unref', 'strike', 'abort', 'off', 'removeEventListener'])

const nameOf = callee =>
  callee.type === 'Identifier' ? callee.name : callee.type === 'MemberExpression' ? (callee.property.name ?? undefined) : undefined

/** An expression that has no way to throw. */
function isHarmless(node) {
  switch (node?.type) {
    case undefined:
    case 'Identifier':
    case 'Literal':
      return true
    case 'ChainExpression':
      return isHarmless(node.expression)
    case 'UnaryExpression':
      return node.operator === 'void' && isHarmless(node.argument)
    case 'UpdateExpression':
      return true
    case 'AssignmentExpression':
      return node.right.type === 'Identifier' || node.right.type === 'Literal'
    case 'CallExpression': {
      const { callee } = node
      if (callee.type === 'Identifier') return HARMLESS_CALLS.has(callee.name)
      return callee.type === 'MemberExpression' && HARMLESS_METHODS.has(callee.property.name)
    }
    default:
      return false
  }
}

const isGuardCall = node =>
  node?.type === 'CallExpression' &&
  (GUARDS.has(nameOf(node.callee)) || (node.callee.type === 'Identifier' && HARMLESS_CALLS.has(node.callee.name)))

/** The only expression or statements of a function. */
const statementsOf = ({ body }) => (body.type === 'BlockStatement' ? body.body : [{ type: 'ExpressionStatement', expression: body }])

const isSafeFunction = node =>
  statementsOf(node).every(
    ({ type, expression, argument }) =>
      (type === 'ExpressionStatement' || type === 'ReturnStatement') &&
      (isGuardCall(expression ?? argument) || isHarmless(expression ?? argument)),
  )

/** A function that gives what `guarded` makes of its argument. */
const isGuardMaker = node =>
  (node?.type === 'ArrowFunctionExpression' || node?.type === 'FunctionExpression' || node?.type === 'FunctionDeclaration') &&
  statementsOf(node).length === 1 &&
  nameOf((statementsOf(node)[0].expression ?? statementsOf(node)[0].argument)?.callee ?? {}) === 'guarded'

export default {
  meta: {
    type: 'problem',
    schema: [],
    messages: { unguarded: 'a listener of an event runs behind `guarded` or `attempt` (src/net/guard.ts)' },
  },
  create(context) {
    const isSafe = node => {
      switch (node?.type) {
        case 'CallExpression':
          return nameOf(node.callee) === 'guarded' || isGuardMaker(targetOf(node.callee))
        case 'ArrowFunctionExpression':
        case 'FunctionExpression':
          return isSafeFunction(node)
        case 'TSAsExpression':
          return isSafe(node.expression)
        case 'Identifier':
          return isSafe(definitionOf(node))
        case 'MemberExpression':
          return node.object.type === 'ThisExpression' && isSafe(memberOf(node))
        default:
          return false
      }
    }
    const targetOf = node =>
      node.type === 'Identifier'
        ? definitionOf(node)
        : node.type === 'MemberExpression' && node.object.type === 'ThisExpression'
          ? memberOf(node)
          : undefined
    const definitionOf = node => {
      for (let scope = context.sourceCode.getScope(node); scope !== null; scope = scope.upper) {
        const [definition] = scope.set.get(node.name)?.defs ?? []
        if (definition !== undefined) return definition.type === 'FunctionName' ? definition.node : definition.node.init
      }
      return undefined
    }
    const memberOf = node => {
      let parent = node.parent
      while (parent !== null && parent.type !== 'ClassBody') parent = parent.parent
      return parent?.body.find(({ key }) => key?.name === node.property.name && key?.type === node.property.type)?.value
    }
    return {
      CallExpression(node) {
        const { callee, arguments: given } = node
        if (callee.type !== 'MemberExpression' || !LISTENING.has(callee.property.name) || given.length !== 2) return
        if (!isSafe(given[1])) context.report({ node: given[1], messageId: 'unguarded' })
      },
    }
  },
}
