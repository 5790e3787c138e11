/**
 * An ESLint rule: a table that is written as an object literal is not asked for a name that may be anything. `TABLE[name]` finds `toString`,
 * `constructor` and `__proto__` as well; a Map does not. Names of a closed set (a union of literals) are fine, and so is filling an object.
 */
import ts from 'typescript'

/** The object literal that a constant stands for, if it stands for one. */
function literalOf(node) {
  switch (node?.type) {
    case 'ObjectExpression':
      return node
    case 'TSAsExpression':
    case 'TSSatisfiesExpression':
      return literalOf(node.expression)
    case 'CallExpression':
      return node.callee.type === 'MemberExpression' && node.callee.property.name === 'freeze' ? literalOf(node.arguments[0]) : undefined
    default:
      return undefined
  }
}

export default {
  meta: {
    type: 'problem',
    schema: [],
    messages: { open: 'this finds what every object has, such as `constructor`; make the table a Map' },
  },
  create(context) {
    const services = context.sourceCode.parserServices
    const definitionOf = node => {
      for (let scope = context.sourceCode.getScope(node); scope !== null; scope = scope.upper) {
        const [definition] = scope.set.get(node.name)?.defs ?? []
        if (definition !== undefined) return definition.node
      }
      return undefined
    }
    return {
      MemberExpression(node) {
        if (!node.computed || node.object.type !== 'Identifier') return
        if (node.parent.type === 'AssignmentExpression' && node.parent.operator === '=' && node.parent.left === node) return
        const definition = definitionOf(node.object)
        if (definition?.type !== 'VariableDeclarator' || literalOf(definition.init) === undefined) return
        const type = services.getTypeAtLocation(node.property)
        if ((type.flags & (ts.TypeFlags.String | ts.TypeFlags.Any)) !== 0) context.report({ node, messageId: 'open' })
      },
    }
  },
}
