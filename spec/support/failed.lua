--- The code of the error with which a call has failed; it is wrong where it has not.

local assert = require "luassert"

return function(value, err)
  assert.is_nil(value)
  return err.code
end
