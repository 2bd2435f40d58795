// SPDX-License-Identifier: MIT
// Four things that the types must refuse.
import { connect } from 'tidegate'
import { rateLimit } from 'tidegate/express'

const gate = connect()
gate.limiter(5)
gate.limiter('1/s', { algorithm: 'magic' })
const wrong: number = (await gate.limiter('1/s').consume('k')).remaining
rateLimit({ limit: '1/s', key: 'x' })
console.log(wrong)
